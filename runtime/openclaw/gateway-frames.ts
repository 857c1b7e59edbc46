import { z } from 'zod';

const errorShape = z.looseObject({
  code: z.string(),
  message: z.string(),
  retryable: z.boolean().optional(),
  retryAfterMs: z.number().optional(),
  details: z
    .looseObject({ reason: z.string().optional(), code: z.string().optional(), requestId: z.string().optional() })
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

/** One text frame, or null when it is of no kind that we know. */
export function parseFrame(text: string): ResponseFrame | EventFrame | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  return frame.safeParse(value).data ?? null;
}
