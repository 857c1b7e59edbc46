import type { Clock } from '../../lib/async/clock.ts';
import { WINDOW_MS } from './rate-limit.ts';

/** The most refused addresses, and the most good credentials, that a process remembers. The oldest one makes room. */
const REMEMBERED = 10_000;

interface Window {
  endsMs: number;
  refused: number;
}

/** What this process remembers of credentials that it has looked up. */
export interface RefusedCredentials {
  /**
   * Whole seconds after which this credential may be looked up; 0 when it may be now. An address whose credentials were
   * refused too often has to wait. Credentials that were good before do not: other clients may share the address.
   */
  waitSeconds(address: string, credential: string): number;
  /** The database does not know the credential, or not any more. */
  noteRefused(address: string, credential: string): void;
  noteGood(credential: string, accountId: string): void;
  /** Whose credential this was when it was good last; null when this process has not looked it up lately. */
  accountOf(credential: string): string | null;
}

/** Limits how many refused credentials a minute each address can have looked up. */
export function createRefusedCredentials({ limit, clock }: { limit: number; clock: Clock }): RefusedCredentials {
  const windows = new Map<string, Window>();
  const good = new Map<string, string>();
  return {
    waitSeconds(address, credential) {
      const window = windows.get(address);
      const leftMs = window ? window.endsMs - clock().getTime() : 0;
      if (!window || leftMs <= 0 || window.refused < limit || good.has(credential)) return 0;
      return Math.ceil(leftMs / 1_000);
    },
    noteRefused(address, credential) {
      good.delete(credential);
      const nowMs = clock().getTime();
      const known = windows.get(address);
      const window = known && known.endsMs > nowMs ? known : { endsMs: nowMs + WINDOW_MS, refused: 0 };
      window.refused += 1;
      remember(windows, address, window);
    },
    noteGood(credential, accountId) {
      remember(good, credential, accountId);
    },
    accountOf: (credential) => good.get(credential) ?? null,
  };
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  for (const oldest of map.keys()) {
    if (map.size <= REMEMBERED) break;
    map.delete(oldest);
  }
}
