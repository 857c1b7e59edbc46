import type { ChatRequest } from '../chat-request.ts';

/** What answers model calls of one wire: a provider of PROVIDERS, or the built-in echo model. */
export interface ModelProvider {
  /**
   * Begins to answer; resolves when the first part of the answer has come. Throws RelayError when there is none.
   * An aborted signal ends the call upstream, also while the body is being read.
   */
  complete(call: ProviderCall): Promise<ProviderAnswer>;
  close(): Promise<void>;
}

export interface ProviderCall {
  /** With the model's name as the provider knows it. */
  request: ChatRequest;
  traceparent: string | undefined;
  signal: AbortSignal;
  /** The call was ended from here after it had been sent and before an answer: the provider may go on, and bill it. */
  onCut?: () => void;
  /** How long the answer may take to begin, in milliseconds, where that is less than the provider's own limit. */
  beginMs?: number;
}

export interface ProviderAnswer {
  contentType: string;
  /** Whether it is one event after the other, or one object. */
  isStream: boolean;
  /** The bytes as the provider sends them. */
  body: AsyncIterable<Uint8Array>;
}
