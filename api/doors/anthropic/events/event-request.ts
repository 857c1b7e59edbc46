import { z } from 'zod';
import { utf8Length } from '../../../../domain/agents/file-path.ts';

/** Of a body with events. */
export const EVENTS_BODY_LIMIT_BYTES = 8 * 1024 * 1024;
const MAX_EVENTS = 20;
/** As much as an agent is told at once. */
const MAX_MESSAGE_BYTES = 256 * 1024;
const NOT_TEXT = 'Only blocks of the type "text" can be sent to an agent here. Leave out images and documents.';

const userMessage = z.object({
  type: z.literal('user.message'),
  content: z
    .array(z.object({ type: z.literal('text', NOT_TEXT), text: z.string() }), 'Must be a list of blocks of the type "text".')
    .max(100)
    .refine((blocks) => blocks.some(({ text }) => /\S/.test(text)), 'Give a text that is not blank.')
    .refine((blocks) => utf8Length(saidIn(blocks)) <= MAX_MESSAGE_BYTES, `Use at most ${MAX_MESSAGE_BYTES} bytes.`),
});

const userInterrupt = z.object({
  type: z.literal('user.interrupt'),
  session_thread_id: z.null('Sessions have one thread here. Leave it out.').optional(),
});

/** What a client may send to a session. */
export const eventsField = z
  .array(
    z.discriminatedUnion('type', [userMessage, userInterrupt], {
      error: ({ code }) => (code === 'invalid_union' ? 'Must be "user.message" or "user.interrupt".' : undefined),
    }),
  )
  .min(1)
  .max(MAX_EVENTS);

/** What a session can be created with: messages, read as their texts. */
export const initialEventsField = z
  .array(
    z.discriminatedUnion('type', [userMessage], {
      error: ({ code }) => (code === 'invalid_union' ? 'Must be "user.message".' : undefined),
    }),
  )
  .max(MAX_EVENTS)
  .nullish()
  .transform((events) => (events ?? []).map(({ content }) => saidIn(content)));

/** The text of a message. */
export function saidIn(blocks: readonly { text: string }[]): string {
  return blocks.map(({ text }) => text).join('\n');
}
