import type { IncomingMessage } from 'node:http';
import rawBody from 'raw-body';
import { z } from 'zod';
import { RelayError } from './relay-error.ts';

export const MAX_BODY_BYTES = 32 * 1024 ** 2;

const chatRequest = z.looseObject({
  model: z.string(),
  messages: z.array(z.unknown()),
  stream: z.boolean().nullish(),
  stream_options: z.looseObject({}).nullish(),
});

/** An OpenAI chat completion request. What is not named here is passed on as it came. */
export type ChatRequest = z.infer<typeof chatRequest>;

/** Reads the body. Throws RelayError 400 when it is no chat completion request, 413 when it is over 32 MiB. */
export async function readChatRequest(request: IncomingMessage): Promise<ChatRequest> {
  const text = await rawBody(request, { limit: MAX_BODY_BYTES, encoding: 'utf8' }).catch((cause: unknown) => {
    // What is not read would block the connection for the calls after this one.
    request.resume();
    if (isTooLarge(cause)) throw new RelayError(413, 'The request is larger than 32 MiB.', { cause });
    throw new RelayError(400, 'The request body did not arrive whole.', { cause });
  });
  const parsed = chatRequest.safeParse(parseJson(text));
  if (!parsed.success) {
    const fields = parsed.error.issues.map(({ path }) => path.join('.') || 'the body').join(', ');
    throw new RelayError(400, `This is not a chat completion request; wrong: ${fields}.`);
  }
  return parsed.data;
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
