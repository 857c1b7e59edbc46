import { z } from 'zod';
import { storableText } from '../../lib/storable-text.ts';

const errorShape = z.looseObject({
  code: z.string(),
  message: z.string(),
  retryable: z.boolean().optional(),
  retryAfterMs: z.number().optional(),
  details: z
    .looseObject({
      reason: z.string().optional(),
      code: z.string().optional(),
      requestId: z.string().optional(),
      limit: z.string().optional(),
    })
    .optional()
    .catch(undefined),
});

const responseFrame = z.looseObject({
  type: z.literal('res'),
  id: z.string(),
  ok: z.boolean(),
  payload: z.unknown().optional(),
  error: errorShape.optional(),
});

const eventFrame = z.looseObject({ type: z.literal('event'), event: z.string(), payload: z.unknown().optional() });

const frame = z.discriminatedUnion('type', [responseFrame, eventFrame]);

export type ResponseFrame = z.infer<typeof responseFrame>;
export type EventFrame = z.infer<typeof eventFrame>;
export type ErrorShape = z.infer<typeof errorShape>;

/** What the gateway says first. */
export const challengeEvent = z.looseObject({ nonce: z.string() });

/** What the gateway answers to `connect`. */
export const helloOk = z.looseObject({
  type: z.literal('hello-ok'),
  protocol: z.literal(4),
  server: z.looseObject({ bootId: z.string().min(1) }),
  policy: z.looseObject({ tickIntervalMs: z.number().int().positive() }),
});

/** How JSON writes NUL and halves of surrogate pairs: a frame without these escapes has neither in it. */
const UNSTORABLE = /\\u(?:0000|d[89a-f])/i;
const CUT_CHARACTER = /[\uD800-\uDBFF]$/;

/**
 * One text frame, or null when it is of no kind that we know. Its strings can be stored as they are: NUL and halves of
 * surrogate pairs are U+FFFD. A string that ends in the middle of a character ends before it, so that the text of a
 * delta is always the beginning of what later frames say.
 */
export function parseFrame(text: string): ResponseFrame | EventFrame | null {
  let value: unknown;
  try {
    value = UNSTORABLE.test(text) ? JSON.parse(text, withStorableText) : JSON.parse(text);
  } catch {
    return null;
  }
  return frame.safeParse(value).data ?? null;
}

function withStorableText(_key: string, value: unknown): unknown {
  return typeof value === 'string' ? storableText(value.replace(CUT_CHARACTER, '')) : value;
}
