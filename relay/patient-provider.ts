import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../lib/log.ts';
import type { ModelProvider, ProviderAnswer, ProviderCall } from './model-provider.ts';
import { RelayError } from './relay-error.ts';

export interface Patience {
  /** For all tries of one call together, from its beginning on. */
  budgetMs: number;
  /** Doubled from try to try. */
  firstPauseMs: number;
  monotonicMs: () => number;
  random: () => number;
}

const LONGEST_PAUSE_MS = 8_000;

/**
 * Tries again what may pass (429, 5xx, no connection), before the first byte of an answer. Afterwards the call ends
 * with 400, whatever it was: a gateway would try again ten times for minutes, each with a budget of its own here.
 */
export function createPatientProvider(provider: ModelProvider, patience: Patience, log: Log): ModelProvider {
  return {
    complete: (call) => completePatiently(provider, call, patience, log),
    close: () => provider.close(),
  };
}

async function completePatiently(
  provider: ModelProvider,
  call: ProviderCall,
  patience: Patience,
  log: Log,
): Promise<ProviderAnswer> {
  const { budgetMs, firstPauseMs, monotonicMs, random } = patience;
  const end = monotonicMs() + budgetMs;
  for (let tries = 1; ; tries += 1) {
    try {
      return await provider.complete(call);
    } catch (error) {
      if (call.signal.aborted || !(error instanceof RelayError) || !mayPass(error)) throw error;
      const pauseMs = pauseOf(error, { tries, firstPauseMs, random });
      if (monotonicMs() + pauseMs >= end) throw givenUp(error, tries);
      log.debug({ status: error.status, tries, pauseMs }, 'retrying a call to the model provider');
      await sleep(pauseMs, undefined, { signal: call.signal });
    }
  }
}

function mayPass({ status }: RelayError): boolean {
  return status === 408 || status === 429 || status >= 500;
}

/** Half of it is chance, so that calls which failed together do not come back together. */
function pauseOf(
  { retryAfterSeconds = 0 }: RelayError,
  { tries, firstPauseMs, random }: { tries: number; firstPauseMs: number; random: () => number },
): number {
  const pauseMs = Math.min(firstPauseMs * 2 ** (tries - 1), LONGEST_PAUSE_MS);
  return Math.max(retryAfterSeconds * 1_000, pauseMs * (0.5 + random() / 2));
}

function givenUp(cause: RelayError, tries: number): RelayError {
  const times = tries === 1 ? 'once' : `${tries} times`;
  return new RelayError(400, `The model could not answer now; it was asked ${times}. Send the message again later.`, { cause });
}
