import { orAborted } from '../../lib/async/aborted.ts';
import { RelayError } from '../relay-error.ts';
import type { ProviderCall } from './model-provider.ts';

/** What the provider that begins an answer is told, and tells. */
export interface Beginning {
  /** Aborted when the answer is late, when `end` was called, and when the call is ended from outside. */
  signal: AbortSignal;
  /** The whole request has been handed to the network: from now on the provider may answer it, and bill it. */
  sent(): void;
  /** The provider has refused the request: it does nothing more for it. */
  refused(): void;
  /** Ends the call, also while its answer is being read. */
  end(reason: Error): void;
}

interface Options {
  /** The name of the provider among PROVIDERS. */
  provider: string;
  /** How long the answer may take to begin. */
  thinkingMs: number;
}

/**
 * Begins to answer a call, in the time that it has. Throws RelayError 504 when it was ended from here before an answer had
 * begun; the call is told (`onCut`) when it had been sent by then. What `begin` throws otherwise is thrown as it is.
 */
export async function beginInTime<Answer>(
  call: ProviderCall,
  { provider, thinkingMs }: Options,
  begin: (beginning: Beginning) => Promise<Answer>,
): Promise<Answer> {
  const ending = new AbortController();
  const signal = AbortSignal.any([call.signal, ending.signal]);
  const late = setTimeout(() => ending.abort(new Error('The answer is late')), Math.min(call.beginMs ?? thinkingMs, thinkingMs));
  let mayGoOn = false;
  const beginning: Beginning = {
    signal,
    sent: () => (mayGoOn = true),
    refused() {
      mayGoOn = false;
      clearTimeout(late);
    },
    end: (reason) => ending.abort(reason),
  };
  try {
    return await orAborted(begin(beginning), signal);
  } catch (error) {
    if (!signal.aborted) throw error;
    if (mayGoOn) call.onCut?.();
    throw tooLate(provider, error);
  } finally {
    clearTimeout(late);
  }
}

function tooLate(provider: string, cause: unknown): RelayError {
  return new RelayError(504, 'The model provider did not respond in time. Try again in a moment.', {
    cause,
    advice: `The provider "${provider}" did not begin to answer in time. Check its url, or whether it is overloaded.`,
  });
}
