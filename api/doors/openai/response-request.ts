import { z } from 'zod';
import { contentField, metadataField, userField } from './chat-request.ts';
import type { ChatMessage } from './chat-request.ts';

const MAX_ITEMS = 5_000;

const item = z.union(
  [
    z
      .object({
        type: z.literal('message').optional(),
        role: z.enum(['system', 'developer', 'user', 'assistant']),
        content: contentField,
      })
      .transform(({ role, content }): ChatMessage[] => [{ role: role === 'developer' ? 'system' : role, content }]),
    z
      .object({ type: z.literal('function_call'), name: z.string(), arguments: z.string() })
      .transform((call): ChatMessage[] => [{ role: 'assistant', content: '', tool_calls: [{ function: call }] }]),
    z
      .object({ type: z.literal('function_call_output'), output: contentField })
      .transform(({ output }): ChatMessage[] => [{ role: 'tool', content: output }]),
    z.object({ type: z.literal('reasoning') }).transform((): ChatMessage[] => []),
  ],
  'Must be a message of text, a function call, its output, or reasoning.',
);

const conversationField = z
  .union([z.string().min(1).max(128), z.object({ id: z.string().min(1).max(128) }).transform(({ id }) => id)])
  .nullish();

export const responseRequest = z
  .looseObject({
    model: z.string().min(1).max(256),
    input: z.preprocess(
      (input) => (typeof input === 'string' ? [{ role: 'user', content: input }] : input),
      z
        .array(item)
        .min(1)
        .max(MAX_ITEMS)
        .transform((items) => items.flat()),
    ),
    instructions: z.string().nullish(),
    previous_response_id: z.string().max(128).nullish(),
    conversation: conversationField,
    stream: z.boolean().nullish(),
    background: z.boolean().nullish(),
    store: z.literal(true, 'Messages are always stored, in the history of the agent. Leave it out, or give true.').nullish(),
    metadata: metadataField.nullish(),
    user: userField,
    safety_identifier: userField,
  })
  .refine(({ conversation, previous_response_id: previous }) => conversation == null || previous == null, {
    path: ['conversation'],
    message: 'Give either conversation or previous_response_id.',
  });

export type ResponseRequestBody = z.output<typeof responseRequest>;

/** What of a request for a response makes a difference. */
export const HONOURED_IN_RESPONSE: ReadonlySet<string> = new Set([
  ...['model', 'input', 'instructions', 'previous_response_id', 'conversation', 'stream', 'background', 'store', 'metadata'],
  ...['user', 'safety_identifier'],
]);
