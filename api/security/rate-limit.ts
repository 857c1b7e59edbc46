import ipaddr from 'ipaddr.js';
import type { RateWindowState } from '../../database/accounts/rate-windows.ts';
import type { Clock } from '../../lib/async/clock.ts';
import type { Log } from '../../lib/log.ts';

export const WINDOW_MS = 60_000;
/** How long to wait before the store is asked again, while it cannot be reached. */
const AWAY_MS = 1_000;
/** A process claims at most this share of what is left, so that enough is left for other processes. */
const LARGEST_SHARE = 0.1;
/** The most subjects whose window a process knows. The oldest one is forgotten, and claimed again when it is needed. */
const KNOWN_SUBJECTS = 100_000;

/** How a request stands against its limit. */
export interface RateStanding {
  isAllowed: boolean;
  limit: number;
  remaining: number;
  /** Seconds until the window is over, from 1. */
  resetSeconds: number;
}

export interface RateLimiter {
  /** Counts one request. Never throws. */
  take(subject: string): Promise<RateStanding>;
  /** How a request stands for which nothing is left, as far as this process knows; null when something may be. */
  usedUp(subject: string): RateStanding | null;
}

export interface RateLimitOptions {
  /** Requests of one subject per minute, over all processes. */
  limit: number;
  /** Counts requests in the window that all processes share. */
  claim(subject: string, count: number, now: Date): Promise<RateWindowState>;
  clock: Clock;
  log: Log;
}

/** What this process has of a window. */
interface Lease {
  endsMs: number;
  /** Requests that it may let through without asking. */
  free: number;
  /** Requests of the window that no process has taken yet, as far as this one knows. */
  left: number;
  /** How many it took at a time. */
  size: number;
}

/**
 * Counts requests per subject and minute, together with all other processes: each takes a few requests at a time out of
 * the window that they share, more at a time the more it needs, so that a busy subject costs a statement for every tenth
 * of its limit. While the shared window cannot be reached, requests are let through, and that is logged.
 */
export function createRateLimiter({ limit, claim, clock, log }: RateLimitOptions): RateLimiter {
  const leases = new Map<string, Lease>();
  const claims = new Map<string, Promise<void>>();
  let quietUntilMs = 0;

  /** Stores a lease as the newest, and removes the oldest ones that have ended or are too many. */
  function keep(subject: string, lease: Lease, nowMs: number): void {
    leases.delete(subject);
    leases.set(subject, lease);
    for (const [oldest, { endsMs }] of leases) {
      if (endsMs > nowMs && leases.size <= KNOWN_SUBJECTS) break;
      leases.delete(oldest);
    }
  }

  async function claimMore(subject: string): Promise<void> {
    const now = clock();
    const size = sizeOfNext(leases.get(subject), now.getTime());
    try {
      const { startedMs, used } = await claim(subject, size, now);
      const granted = Math.min(size, Math.max(0, limit - (used - size)));
      keep(subject, { endsMs: startedMs + WINDOW_MS, free: granted, left: Math.max(0, limit - used), size }, now.getTime());
    } catch (err) {
      if (now.getTime() >= quietUntilMs) log.error({ err }, 'the rate limit cannot count requests, so it allows them');
      quietUntilMs = now.getTime() + 10 * AWAY_MS;
      keep(subject, { endsMs: now.getTime() + AWAY_MS, free: Number.POSITIVE_INFINITY, left: 0, size: 1 }, now.getTime());
    }
  }

  /** Requests that need more of the same subject at the same time share one statement. */
  function claimOnce(subject: string): Promise<void> {
    const known = claims.get(subject);
    if (known) return known;
    const claiming = claimMore(subject).finally(() => claims.delete(subject));
    claims.set(subject, claiming);
    return claiming;
  }

  const standing = (lease: Lease, isAllowed: boolean, nowMs: number): RateStanding => ({
    isAllowed,
    ...standingOf(lease, limit, nowMs),
  });

  return {
    async take(subject) {
      for (;;) {
        const nowMs = clock().getTime();
        const lease = leases.get(subject);
        if (lease && lease.endsMs > nowMs) {
          if (lease.free > 0) {
            lease.free -= 1;
            return standing(lease, true, nowMs);
          }
          if (lease.left === 0) return standing(lease, false, nowMs);
        }
        await claimOnce(subject);
      }
    },
    usedUp(subject) {
      const nowMs = clock().getTime();
      const lease = leases.get(subject);
      const isUsedUp = lease && lease.endsMs > nowMs && lease.free === 0 && lease.left === 0;
      return isUsedUp ? standing(lease, false, nowMs) : null;
    },
  };
}

/** How many requests to take out of the shared window next. */
function sizeOfNext(lease: Lease | undefined, nowMs: number): number {
  if (!lease || lease.endsMs <= nowMs) return 1;
  return Math.max(1, Math.min(lease.size * 2, Math.floor(lease.left * LARGEST_SHARE)));
}

function standingOf({ endsMs, free, left }: Lease, limit: number, nowMs: number): Omit<RateStanding, 'isAllowed'> {
  return { limit, remaining: Math.min(limit, free + left), resetSeconds: Math.max(1, Math.ceil((endsMs - nowMs) / 1000)) };
}

/** Who an address belongs to: of IPv6 one customer has a whole /64. */
export function addressBlock(address: string): string {
  if (!ipaddr.isValid(address)) return address;
  const parsed = ipaddr.process(address);
  if (parsed.kind() === 'ipv4') return parsed.toString();
  return `${parsed
    .toByteArray()
    .slice(0, 8)
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('')}/64`;
}
