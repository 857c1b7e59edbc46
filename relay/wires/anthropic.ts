import type { IncomingMessage } from 'node:http';
import type { RelayError } from '../relay-error.ts';
import { anthropicFields, anthropicTokenLimit } from './anthropic-fields.ts';
import { createAnthropicReader } from './anthropic-reader.ts';
import { bearerOf } from './wire.ts';
import type { Wire } from './wire.ts';

const TYPES: Readonly<Record<number, string>> = {
  401: 'authentication_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  529: 'overloaded_error',
};

/** Anthropic's messages. */
export const anthropicWire: Wire = {
  name: 'anthropic-messages',
  request: 'request of the Messages API',
  path: '/v1/messages',
  tokenOf: (request) => keyOf(request) ?? bearerOf(request),
  allowedFields: anthropicFields,
  tokenLimitOf: anthropicTokenLimit,
  createReader: createAnthropicReader,
  errorBody: (error) => ({ type: 'error', error: { type: typeOf(error), message: error.message } }),
};

function keyOf(request: IncomingMessage): string | undefined {
  const key = request.headers['x-api-key'];
  return typeof key === 'string' && key !== '' ? key : undefined;
}

function typeOf({ status }: RelayError): string {
  return TYPES[status] ?? (status < 500 ? 'invalid_request_error' : 'api_error');
}
