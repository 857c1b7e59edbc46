import type { IncomingMessage } from 'node:http';
import type { ModelSettings, WireName } from '../../lib/settings/models.ts';
import type { ChatRequest } from '../chat-request.ts';
import type { RelayError } from '../relay-error.ts';
import type { AnswerReader } from '../usage-tap.ts';

/** One way in which gateways call models: its requests, its answers, its errors. */
export interface Wire {
  name: WireName;
  /** What its requests are, for the sentence that refuses another body. */
  request: string;
  /** Where its requests are sent to. */
  path: string;
  /** The token that a request bears. */
  tokenOf(request: IncomingMessage): string | undefined;
  /** The call as a provider gets it: with known fields alone, and with no answer longer than is offered. */
  allowedFields(chat: ChatRequest, limits: Pick<ModelSettings, 'maxTokens'>): ChatRequest;
  /** The most tokens that a provider answers such a call with. */
  tokenLimitOf(allowed: ChatRequest): number;
  /** Reads one answer while it passes. */
  createReader(): AnswerReader;
  /** The body of the answer to a call that is refused. */
  errorBody(error: RelayError): object;
}

/** The token of an `Authorization: Bearer` header. */
export function bearerOf(request: IncomingMessage): string | undefined {
  return /^Bearer (\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
}
