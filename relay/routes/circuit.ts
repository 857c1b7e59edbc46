import type { RelayError } from '../relay-error.ts';

/** So many failures in a row open it. */
const FAILURES = 3;
/** How long it stays open at first; doubled with each probe that fails. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;

/** Why calls go elsewhere first, in one word. */
export type Trouble = 'unreachable' | 'slow' | 'limited' | 'overloaded' | 'failing' | 'refused';

export interface OpenCircuit {
  reason: Trouble;
  /** For so many milliseconds from now; then one call is tried there again. */
  forMs: number;
}

/**
 * What is known of one model at one provider. Closed: calls go there. Open: they go elsewhere first, where there is a
 * fall-back. After its pause one call at a time is let through, and an answer closes it.
 */
export interface Circuit {
  /** Whether a call may go there before others are tried. Its end is to be told by one of the next three. */
  admit(): boolean;
  /** The provider answered, if only by refusing the request. */
  answered(): void;
  failed(error: RelayError): void;
  /** The caller left before anything was known. */
  abandoned(): void;
}

interface Options {
  monotonicMs: () => number;
  /** Told at each change; null: it is closed. */
  onChange(open: OpenCircuit | null): void;
}

export function createCircuit({ monotonicMs, onChange }: Options): Circuit {
  let failures = 0;
  let pauseMs = FIRST_PAUSE_MS;
  let openUntil: number | null = null;
  let probing = false;
  return {
    admit() {
      if (openUntil === null) return true;
      if (probing || monotonicMs() < openUntil) return false;
      probing = true;
      return true;
    },
    answered() {
      const wasOpen = openUntil !== null;
      [failures, pauseMs, openUntil, probing] = [0, FIRST_PAUSE_MS, null, false];
      if (wasOpen) onChange(null);
    },
    failed(error) {
      failures += weightOf(error);
      probing = false;
      const now = monotonicMs();
      if (failures < FAILURES || (openUntil !== null && now < openUntil)) return;
      const forMs = Math.min(Math.max(pauseMs, (error.retryAfterSeconds ?? 0) * 1_000), LONGEST_PAUSE_MS);
      openUntil = now + forMs;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
      onChange({ reason: troubleOf(error), forMs });
    },
    abandoned() {
      probing = false;
    },
  };
}

/**
 * What costs each caller a long wait, and what a provider asks for itself, counts at once. A refusal does not: the words of
 * one account's request may have caused it, and a circuit is shared by all accounts.
 */
function weightOf({ status, retryAfterSeconds }: RelayError): number {
  return status === 504 || retryAfterSeconds !== undefined ? FAILURES : 1;
}

function troubleOf({ status, isOurFault }: RelayError): Trouble {
  if (isOurFault) return 'refused';
  if (status === 429) return 'limited';
  if (status === 529 || status === 503) return 'overloaded';
  if (status === 504 || status === 408) return 'slow';
  return status === 502 ? 'unreachable' : 'failing';
}
