import { z } from 'zod';
import { metadataField, userField } from '../chat/chat-request.ts';
import type { ChatMessage } from '../chat/chat-request.ts';
import { contentField } from '../content.ts';

const MAX_ITEMS = 5_000;

const message = z
  .object({
    type: z.literal('message').optional(),
    role: z.enum(['system', 'developer', 'user', 'assistant']),
    content: contentField,
  })
  .transform(({ role, content: { text, files } }): ChatMessage[] => [
    { role: role === 'developer' ? 'system' : role, content: text, files },
  ]);

const functionCall = z
  .object({ type: z.literal('function_call'), name: z.string(), arguments: z.string() })
  .transform((call): ChatMessage[] => [{ role: 'assistant', content: '', files: [], tool_calls: [{ function: call }] }]);

const functionCallOutput = z
  .object({ type: z.literal('function_call_output'), output: contentField })
  .transform(({ output: { text, files } }): ChatMessage[] => [{ role: 'tool', content: text, files }]);

const reasoning = z.object({ type: z.literal('reasoning') }).transform((): ChatMessage[] => []);

const item = z.discriminatedUnion(
  'type',
  [message, functionCall, functionCallOutput, reasoning],
  'Must be a message, a function call, its output, or reasoning.',
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
