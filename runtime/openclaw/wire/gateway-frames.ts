import { z } from 'zod';
import { jsonLimitProblem } from '../../../lib/text/json-limits.ts';
import type { JsonLimits } from '../../../lib/text/json-limits.ts';
import { storableText } from '../../../lib/text/storable-text.ts';
import { gatewayId, textUpTo } from './bounded-text.ts';

/** What a gateway says of an error is for logs, and is matched with what we know of it. */
const ERROR_BYTES = 16 * 1024;
const errorText = textUpTo(ERROR_BYTES);

const errorShape = z.looseObject({
  code: errorText,
  message: errorText,
  retryable: z.boolean().optional(),
  retryAfterMs: z.number().optional(),
  details: z
    .looseObject({
      reason: errorText.optional(),
      code: errorText.optional(),
      requestId: gatewayId.optional(),
      limit: errorText.optional(),
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

/** The largest frame is an answer to chat.history, which is asked for by bytes. The gateway's own limit is 25 MiB. */
export const MAX_FRAME_BYTES = 4 * 1024 ** 2;
/** A page of 200 rows has less than half of it. Without a limit 4 MiB of empty lists are 1.4 million of them. */
const LIMITS: JsonLimits = { depth: 100, values: 50_000 };

/** Whether a frame has no more parts than a gateway has reason to send. Parsing takes time and memory for each. */
export function isAffordable(bytes: Uint8Array): boolean {
  return bytes.length <= LIMITS.values || jsonLimitProblem(bytes, LIMITS) === null;
}

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
