import type { KeyLimits } from '../../domain/access/key-scopes.ts';

export type Auth = 'public' | 'account' | 'operator';

export interface AccountActor {
  kind: 'account';
  accountId: string;
  /** The API key that was used; null for a token. */
  keyId: string | null;
  limits: KeyLimits;
}

export interface OperatorActor {
  kind: 'operator';
  /** The account that acts as operator in the console; null for the operator token. */
  accountId: string | null;
}

/** Who makes the call; null for a public operation. */
export type Actor = AccountActor | OperatorActor | null;

export type ActorOf<A extends Auth> = A extends 'account' ? AccountActor : A extends 'operator' ? OperatorActor : null;
