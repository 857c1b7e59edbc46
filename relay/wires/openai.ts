import { createOpenAiReader } from './openai-reader.ts';
import { openAiFields, openAiTokenLimit } from './openai-fields.ts';
import { bearerOf } from './wire.ts';
import type { Wire } from './wire.ts';

/** OpenAI's chat completions. */
export const openAiWire: Wire = {
  name: 'openai-completions',
  request: 'chat completion request',
  path: '/v1/chat/completions',
  tokenOf: bearerOf,
  allowedFields: openAiFields,
  tokenLimitOf: openAiTokenLimit,
  createReader: createOpenAiReader,
  errorBody: ({ message, type, code }) => ({ error: { message, type, ...(code === undefined ? {} : { code }) } }),
};
