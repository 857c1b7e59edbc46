import { AppError } from '../../domain/errors.ts';
import { createCallSlots, NoSlotError } from '../../lib/async/call-slots.ts';
import type { Config } from '../../lib/settings/config.ts';
import { createShares } from '../../lib/async/shares.ts';
import type { Share } from '../../lib/async/shares.ts';
import type { Actor } from '../security/actor.ts';
import { addressBlock } from '../security/rate-limit.ts';

const MEBIBYTE = 1024 * 1024;
/** Bodies that are held until their calls end. What is made of one takes a few times as much. */
const BODIES = {
  small: { total: 64 * MEBIBYTE, each: 16 * MEBIBYTE },
  // A separate limit, so that uploads do not keep other calls waiting.
  large: { total: 128 * MEBIBYTE, each: 32 * MEBIBYTE },
};
/** A burst of calls waits for its turn; what comes on top is refused. */
const WAITING_CALLS = 100;
const PATIENCE_MS = 10_000;
const SOON_SECONDS = 1;

/** What one call holds of the limited resources of this process. */
export interface Visit {
  /** Takes one of the account's places for calls that wait or stream. Throws `rate_limited`. */
  takePlace(): void;
  /** Takes room for a body of at most this many bytes. Throws `unavailable`. */
  takeRoom(size: keyof typeof BODIES, bytes: number): Share;
  /** Does the work as soon as few enough other calls of the account are at theirs. Throws `rate_limited`. */
  work<T>(work: () => Promise<T>): Promise<T>;
  /** Gives everything back. */
  leave(): void;
}

export type Admit = (caller: { actor: Actor; address: string }) => Visit;

/** Shares out what a process has among the accounts that call it: work at once, calls that wait, bytes of bodies. */
export function createAdmission(config: Pick<Config, 'MAX_CALLS_PER_ACCOUNT' | 'MAX_WAITS_PER_ACCOUNT'>): Admit {
  const { MAX_CALLS_PER_ACCOUNT: atOnce, MAX_WAITS_PER_ACCOUNT: waits } = config;
  const slots = createCallSlots({ atOnce, waiting: WAITING_CALLS, patienceMs: PATIENCE_MS });
  const places = createShares({ total: Number.POSITIVE_INFINITY, each: waits });
  const rooms = { small: createShares(BODIES.small), large: createShares(BODIES.large) };

  return ({ actor, address }) => {
    const accountId = actor?.kind === 'account' ? actor.accountId : null;
    const owner = accountId ?? actor?.kind ?? `address:${addressBlock(address)}`;
    const held: Share[] = [];
    return {
      takePlace() {
        if (accountId === null) return;
        const place = places.take(accountId, 1);
        if (!place) throw busy(`${waits} calls of this account wait or stream already. Let one of them end, then try again.`);
        held.push(place);
      },
      takeRoom(size, bytes) {
        const room = rooms[size].take(owner, bytes);
        if (!room)
          throw new AppError('unavailable', 'The server receives too much data at the moment. Try again.', {
            retryAfterSeconds: SOON_SECONDS,
          });
        held.push(room);
        return room;
      },
      async work(work) {
        if (accountId === null) return work();
        try {
          return await slots.run(accountId, work);
        } catch (error) {
          if (!(error instanceof NoSlotError)) throw error;
          throw busy(
            `More than ${atOnce} requests of this account run at the same time. Wait until some of them have ended, then try again.`,
          );
        }
      },
      leave() {
        for (const share of held.splice(0)) share.giveBack();
      },
    };
  };
}

function busy(message: string): AppError {
  return new AppError('rate_limited', message, { retryAfterSeconds: SOON_SECONDS });
}
