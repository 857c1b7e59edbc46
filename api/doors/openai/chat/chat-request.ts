import { z } from 'zod';
import { oneLine } from '../../../contract/fields.ts';
import { sessionIdField } from '../../../operations/messages/message.schema.ts';
import { contentField } from '../content.ts';

const MAX_MESSAGES = 5_000;

/** OpenAI's metadata: sixteen pairs of texts. */
export const metadataField = z
  .record(z.string().min(1).max(64), z.string().max(512))
  .refine((pairs) => Object.keys(pairs).length <= 16, 'Give at most 16 pairs.');

const toolCall = z.object({ function: z.object({ name: z.string(), arguments: z.string().default('') }) });

const message = z
  .object({
    role: z
      .enum(['system', 'developer', 'user', 'assistant', 'tool', 'function'])
      .transform((role) => (role === 'developer' ? 'system' : role === 'function' ? 'tool' : role)),
    content: contentField,
    name: oneLine(z.string().min(1).max(128)).nullish(),
    tool_calls: z.array(toolCall).nullish(),
  })
  .transform(({ content: { text, files }, ...rest }) => ({ ...rest, content: text, files }));

/** Who speaks, where that is not the account: as long as the id of a sender may be. */
export const userField = z.string().min(1).max(128).nullish();

interface Users {
  user?: string | null | undefined;
  safety_identifier?: string | null | undefined;
}

/** The end user whose conversation it is; empty where the client names none. */
export function userOf({ user, safety_identifier: identifier }: Users): string {
  return identifier ?? user ?? '';
}

/** Who says it; undefined for the account itself. */
export function speakerOf(users: Users, name?: string): { type: string; id: string; name: string | undefined } | undefined {
  const id = userOf(users) || name;
  return id === undefined ? undefined : { type: 'human', id, name };
}

/** A message of a chat, whichever of OpenAI's forms it came in. */
export type ChatMessage = z.output<typeof message>;

/** The most that an agent is told at once, in bytes. */
export const MAX_TOLD_BYTES = 256 * 1024;

export const chatRequest = z.looseObject({
  model: z.string().min(1).max(256),
  messages: z.array(message).min(1).max(MAX_MESSAGES),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  metadata: metadataField.and(z.object({ sessionId: sessionIdField.optional() })).nullish(),
  user: userField,
  safety_identifier: userField,
  n: z.literal(1, 'An agent gives one answer. Leave it out, or give 1.').nullish(),
  logprobs: z.literal(false, 'An agent gives no probabilities. Leave it out, or give false.').nullish(),
  top_logprobs: z.literal(0, 'An agent gives no probabilities. Leave it out.').nullish(),
});

export type ChatRequest = z.output<typeof chatRequest>;

/** What of a chat completion request makes a difference. */
export const HONOURED_IN_CHAT: ReadonlySet<string> = new Set([
  ...['model', 'messages', 'stream', 'stream_options', 'metadata', 'user', 'safety_identifier'],
  ...['n', 'logprobs', 'top_logprobs'],
]);
