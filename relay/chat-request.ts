import type { IncomingMessage } from 'node:http';
import { setImmediate as others } from 'node:timers/promises';
import rawBody from 'raw-body';
import { z } from 'zod';
import { jsonLimitProblem } from '../lib/text/json-limits.ts';
import { createCallSlots } from '../lib/async/call-slots.ts';
import type { CallSlots } from '../lib/async/call-slots.ts';
import { createShares } from '../lib/async/shares.ts';
import type { Share, Shares } from '../lib/async/shares.ts';
import { RelayError } from './relay-error.ts';

const MEBIBYTE = 1024 ** 2;
const PARSING_MS = 30_000;
/** What is smaller is parsed in less than a millisecond. */
const LARGE_BYTES = 64 * 1024;
/** Far more than a conversation of the largest context has, and little to parse. */
const JSON_LIMITS = { depth: 100, values: 200_000 };

const chatRequest = z.looseObject({
  model: z.string(),
  messages: z.array(z.unknown()),
  stream: z.boolean().nullish(),
});

/** A request to a model, with what it has in common on all wires. What of the rest is passed on, the wire says. */
export type ChatRequest = z.infer<typeof chatRequest>;

/**
 * How large one body may be, and how much may be held: of an account two of the largest, of all eight. Large ones of an account
 * are parsed one after the other.
 */
export function bodyLimits(maxBodyBytes: number): { maxBodyBytes: number; bodies: Shares; parsing: CallSlots } {
  const parsing = createCallSlots({ atOnce: 1, waiting: Number.POSITIVE_INFINITY, patienceMs: PARSING_MS });
  return { maxBodyBytes, bodies: createShares({ total: 8 * maxBodyBytes, each: 2 * maxBodyBytes }), parsing };
}

export interface ReadingChat {
  /** What the body shall be, for the sentence that refuses another one. */
  expected: string;
  /** The largest body that is read. */
  limitBytes: number;
  /** Takes room for a body of at most so many bytes. Throws RelayError. */
  takeRoom(bytes: number): Share;
  /** Does what keeps the event loop for a while in the turn of its account. */
  inTurn<T>(work: () => Promise<T>): Promise<T>;
}

/** A request, and how many bytes it had. */
export interface ReadChat {
  chat: ChatRequest;
  bytes: number;
}

/** Reads the body. Throws RelayError: 400 when it is not what is expected, 413 when it is too large, what takeRoom throws. */
export async function readChatRequest(request: IncomingMessage, reading: ReadingChat): Promise<ReadChat> {
  const bytes = await readBytes(request, reading).catch((error: unknown) => {
    // What is not read would block the connection for the calls after this one.
    request.resume();
    throw error;
  });
  if (bytes.length < LARGE_BYTES) return parseChat(bytes, reading);
  return reading.inTurn(async () => {
    // What has arrived from others meanwhile comes first.
    await others();
    return parseChat(bytes, reading);
  });
}

function parseChat(bytes: Buffer, reading: ReadingChat): ReadChat {
  const excess = jsonLimitProblem(bytes, JSON_LIMITS);
  if (excess !== null) throw new RelayError(400, `The request is not passed on: ${excess}`);
  const parsed = chatRequest.safeParse(parseJson(bytes.toString('utf8')));
  if (!parsed.success) {
    const fields = parsed.error.issues.map(({ path }) => path.join('.') || 'the body').join(', ');
    throw new RelayError(400, `This is not a ${reading.expected}; wrong: ${fields}.`);
  }
  return { chat: parsed.data, bytes: bytes.length };
}

async function readBytes(request: IncomingMessage, { limitBytes, takeRoom }: ReadingChat): Promise<Buffer> {
  const announced = Number(request.headers['content-length'] ?? limitBytes);
  const tooLarge = (cause?: unknown) =>
    new RelayError(413, `The request is larger than ${limitBytes / MEBIBYTE} MiB.`, { cause });
  if (announced > limitBytes) throw tooLarge();
  const room = takeRoom(announced);
  const bytes = await rawBody(request, { limit: limitBytes }).catch((cause: unknown) => {
    if (isTooLarge(cause)) throw tooLarge(cause);
    throw new RelayError(400, 'The request body did not arrive completely.', { cause });
  });
  // One that did not say its length may be smaller than the limit.
  room.shrinkTo(bytes.length);
  return bytes;
}

function isTooLarge(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'type' in error && error.type === 'entity.too.large';
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RelayError(400, 'The request body is not JSON.');
  }
}
