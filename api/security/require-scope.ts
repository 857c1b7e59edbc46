import { AppError } from '../../domain/errors.ts';
import { hasScope, seesInstance } from '../../domain/access/key-scopes.ts';
import type { OperationFacts } from '../contract/define-operation.ts';
import type { Actor } from './actor.ts';

type Facts = Pick<OperationFacts, 'path' | 'scope' | 'keyOfInstance' | 'wholeAccount'>;

/** Throws `forbidden` where the limits of the key do not let it call the operation. */
export function requireScope({ path, scope, keyOfInstance, wholeAccount }: Facts, actor: Actor): void {
  if (actor?.kind !== 'account') return;
  const { limits } = actor;
  if (scope === undefined || !hasScope(limits, scope))
    throw new AppError(
      'forbidden',
      `This API key does not have the scope '${scope}', which this request needs. Use a key with it.`,
    );
  if (limits.instanceId !== null && !keyOfInstance && !path.includes(':instanceId'))
    throw new AppError(
      'forbidden',
      `This API key is limited to the instance ${limits.instanceId}, and this request concerns the whole account. Use a key without that limit.`,
    );
  if (wholeAccount && limits.scopes !== null)
    throw new AppError(
      'forbidden',
      `This API key is limited to the scopes ${limits.scopes.join(', ')}. Use a key without limits, or a token, for this request.`,
    );
}

/** Throws `not_found` where the path names another instance than the only one of the caller's key. */
export function requireOwnInstance(actor: Actor, { instanceId }: Readonly<Record<string, string>>): void {
  if (actor?.kind !== 'account' || instanceId === undefined) return;
  if (!seesInstance(actor.limits, instanceId)) throw new AppError('not_found', 'Instance not found');
}
