import { AppError } from '../../domain/errors.ts';
import { createCallSlots, NoSlotError } from '../../lib/async/call-slots.ts';
import type { CallSlot } from '../../lib/async/call-slots.ts';
import type { Config } from '../../lib/settings/config.ts';
import { createShares } from '../../lib/async/shares.ts';
import type { Share } from '../../lib/async/shares.ts';
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
/** How much of its calls at once an account keeps while other accounts call. */
const SHARED = 0.25;
const LEAST_SHARED = 2;

/** What one call holds of the limited resources of this process. */
export interface Visit {
  /**
   * Begins the work of a call of this account as soon as few enough other calls of the account are at theirs. One that waits or
   * streams takes one of the account's places for those. A second time changes nothing. Throws `rate_limited`.
   */
  enter(accountId: string, call: { waits: boolean }): Promise<void>;
  /** Takes room for a body of at most this many bytes. Throws `unavailable`. */
  takeRoom(size: keyof typeof BODIES, bytes: number): Share;
  /** Lets other calls of the account work while this one waits for something; after that it works again, in its turn. */
  pause<T>(wait: () => Promise<T>): Promise<T>;
  /** Ends the work: what is left is to wait, to stream or to answer. */
  endWork(): void;
  /** Gives everything back. */
  leave(): void;
}

export type Admit = (address: string) => Visit;

/**
 * Shares out what a process has among the accounts that call it: work at once, calls that wait, bytes of bodies. While several
 * accounts call, each has fewer calls at work, so that the event loop and the database soon come to those of all others.
 */
export function createAdmission(config: Pick<Config, 'MAX_CALLS_PER_ACCOUNT' | 'MAX_WAITS_PER_ACCOUNT'>): Admit {
  const { MAX_CALLS_PER_ACCOUNT: atOnce, MAX_WAITS_PER_ACCOUNT: waits } = config;
  const shared = Math.max(LEAST_SHARED, Math.ceil(atOnce * SHARED));
  const slots = createCallSlots({ atOnce, shared, waiting: WAITING_CALLS, patienceMs: PATIENCE_MS });
  const places = createShares({ total: Number.POSITIVE_INFINITY, each: waits });
  const rooms = { small: createShares(BODIES.small), large: createShares(BODIES.large) };

  async function slotOf(accountId: string): Promise<CallSlot> {
    try {
      return await slots.enter(accountId);
    } catch (error) {
      if (!(error instanceof NoSlotError)) throw error;
      throw busy(
        `More than ${atOnce} requests of this account run at the same time. Wait until some of them have ended, then try again.`,
      );
    }
  }

  return (address) => {
    let [owner, slot]: [string, CallSlot | null] = [`address:${addressBlock(address)}`, null];
    const held: Share[] = [];
    return {
      async enter(accountId, call) {
        if (slot) return;
        const place = call.waits ? places.take(accountId, 1) : null;
        if (place) held.push(place);
        else if (call.waits)
          throw busy(`${waits} calls of this account wait or stream already. Let one of them end, then try again.`);
        owner = accountId;
        slot = await slotOf(accountId);
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
      pause: (wait) => (slot ? slot.pause(wait) : wait()),
      endWork: () => slot?.leave(),
      leave() {
        slot?.leave();
        for (const share of held.splice(0)) share.giveBack();
      },
    };
  };
}

function busy(message: string): AppError {
  return new AppError('rate_limited', message, { retryAfterSeconds: SOON_SECONDS });
}
