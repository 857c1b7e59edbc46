import { claimRequests } from '../../database/accounts/rate-windows.ts';
import { AppError } from '../../domain/errors.ts';
import type { Actor } from './actor.ts';
import type { ApiContext } from '../api-context.ts';
import type { Operation } from '../contract/define-operation.ts';
import type { Deps } from '../deps.ts';
import { addressBlock, createRateLimiter, WINDOW_MS } from './rate-limit.ts';
import type { RateLimiter } from './rate-limit.ts';

/** Counts a request and writes the RateLimit headers of its answer. Throws `rate_limited`. */
export type LimitRequests = (
  context: ApiContext,
  operation: Operation,
  caller: { actor: Actor; address: string },
) => Promise<void>;

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

  return async (context, { rateLimit }, { actor, address }) => {
    if (rateLimit === 'auth') return limitTo(context, perAddress, `address:${addressBlock(address)}`);
    if (rateLimit === 'account' && actor?.kind === 'account') return limitTo(context, perAccount, `account:${actor.accountId}`);
  };
}

async function limitTo(context: ApiContext, limiter: RateLimiter, subject: string): Promise<void> {
  const { isAllowed, limit, remaining, resetSeconds } = await limiter.take(subject);
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
