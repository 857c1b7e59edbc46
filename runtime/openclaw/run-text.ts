import { z } from 'zod';
import type { CronRun } from './cron-frames.ts';
import type { GatewayClient } from './gateway-client.ts';
import { GatewayRequestError } from './gateway-errors.ts';
import { messageContent, textOfContent } from './message-text.ts';

/** What a run said, and whether that is only the beginning of it. */
export interface RunText {
  text: string;
  isTruncated: boolean;
}

/** The gateway cuts its summary of a run at 2,000 characters and puts an ellipsis behind it. */
const CUT = /…$/;
const CUT_FROM = 1_900;
const ROW_CHARS = 500_000;
const ROWS = 200;
/** The most that the gateway finds. */
const HITS = 25;

const text = z.string().nullish().catch(null);

const historyAnswer = z.looseObject({
  sessionId: text,
  messages: z.array(z.looseObject({ role: z.string(), content: messageContent.nullish().catch(null), idempotencyKey: text })),
});

const searchAnswer = z.looseObject({
  results: z.array(z.looseObject({ sessionKey: text, sessionId: text, messageId: text })),
});

/**
 * All that a run of a job said. `heard` is what its `final` event said, where somebody listened; otherwise it is read
 * in the gateway's histories, which may have forgotten it. Throws GatewayRequestError when the gateway cannot be asked now.
 */
export async function fullTextOfRun(client: GatewayClient, run: CronRun, heard: string | null): Promise<RunText> {
  const { summary } = run;
  if (summary.length < CUT_FROM || !CUT.test(summary)) return { text: summary, isTruncated: false };
  const beginning = summary.replace(CUT, '').trim();
  const isWhole = (said: string): boolean => said.trim().startsWith(beginning);
  if (heard !== null && isWhole(heard)) return { text: heard.trim(), isTruncated: false };
  const kept = (await keptTexts(client, run)).findLast(isWhole);
  return kept === undefined ? { text: summary, isTruncated: true } : { text: kept.trim(), isTruncated: false };
}

/** What the agent said in the session of this run, as far as the gateway gives it out. */
async function keptTexts(client: GatewayClient, { sessionKey, sessionId, jobId }: CronRun): Promise<string[]> {
  if (sessionKey === null || sessionId === null) return [];
  const base = sessionKey.replace(/:run:[^:]+$/, '');
  const last = await read(client, { sessionKey: base });
  if (last?.sessionId === sessionId) return textsOf(last);
  const found = await ask(client, 'sessions.search', { query: jobId, limit: HITS });
  const hits = searchAnswer.safeParse(found).data?.results ?? [];
  const hit = hits.find((one) => one.sessionId === sessionId);
  if (!hit?.messageId) return [];
  const earlier = await read(client, { sessionKey: hit.sessionKey ?? base, sessionId, messageId: hit.messageId });
  return earlier ? textsOf(earlier) : [];
}

type History = z.infer<typeof historyAnswer>;

/** The prompt of a run comes as the assistant's too: it has a key. */
function textsOf({ messages }: History): string[] {
  return messages.flatMap(({ role, content, idempotencyKey }) =>
    role === 'assistant' && !idempotencyKey?.endsWith(':user') ? [textOfContent(content)] : [],
  );
}

async function read(client: GatewayClient, place: object): Promise<History | null> {
  const answer = await ask(client, 'chat.history', { ...place, limit: ROWS, maxChars: ROW_CHARS });
  return historyAnswer.safeParse(answer).data ?? null;
}

/** Null when the gateway does not have it; what passes is thrown. */
async function ask(client: GatewayClient, method: string, params: object): Promise<unknown> {
  try {
    return await client.request(method, params);
  } catch (error) {
    if (error instanceof GatewayRequestError && !error.retryable) return null;
    throw error;
  }
}
