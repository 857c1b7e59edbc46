import { claimRequests } from '../../database/accounts/rate-windows.ts';
import { AppError } from '../../domain/errors.ts';
import type { Actor } from './actor.ts';
import type { ApiContext } from '../api-context.ts';
import type { Operation } from '../contract/define-operation.ts';
import type { Deps } from '../deps.ts';
import { addressBlock, createRateLimiter, WINDOW_MS } from './rate-limit.ts';
import type { RateLimiter, RateStanding } from './rate-limit.ts';

/** Each function writes the RateLimit headers of the answer, and throws `rate_limited`. */
export interface LimitRequests {
  /** Counts a request. */
  count(context: ApiContext, operation: Operation, caller: { actor: Actor; address: string }): Promise<void>;
  /** Refuses a request of an account that has used up its limit, without the database. */
  refuseUsedUp(context: ApiContext, operation: Operation, accountId: string): void;
}

/** The two limits of the API: per account, and per address for calls that are not authenticated yet. */
export function createLimitRequests({ config, orm, clock, log }: Pick<Deps, 'config' | 'orm' | 'clock' | 'log'>): LimitRequests {
  const limiter = (limit: number): RateLimiter =>
    createRateLimiter({
      limit,
      claim: (subject, count, now) => claimRequests(orm.em.fork(), { subject, count, now, windowMs: WINDOW_MS }),
      clock,
      log,
    });
  const perAccount = limiter(config.RATE_LIMIT_PER_MINUTE);
  const perAddress = limiter(config.AUTH_RATE_LIMIT_PER_MINUTE);

  return {
    async count(context, { rateLimit }, { actor, address }) {
      if (rateLimit === 'auth') tell(context, await perAddress.take(`address:${addressBlock(address)}`));
      if (rateLimit === 'account' && actor?.kind === 'account') tell(context, await perAccount.take(subjectOf(actor.accountId)));
    },
    refuseUsedUp(context, { rateLimit }, accountId) {
      const standing = rateLimit === 'account' ? perAccount.usedUp(subjectOf(accountId)) : null;
      if (standing) tell(context, standing);
    },
  };
}

function subjectOf(accountId: string): string {
  return `account:${accountId}`;
}

/** Throws `rate_limited` where the request is not allowed. */
function tell(context: ApiContext, { isAllowed, limit, remaining, resetSeconds }: RateStanding): void {
  context.set({
    'RateLimit-Limit': String(limit),
    'RateLimit-Remaining': String(remaining),
    'RateLimit-Reset': String(resetSeconds),
  });
  if (isAllowed) return;
  throw new AppError('rate_limited', `The limit of ${limit} requests per minute is reached. Try again in ${resetSeconds} s.`, {
    retryAfterSeconds: resetSeconds,
  });
}
