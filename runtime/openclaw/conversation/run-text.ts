import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { CronRun, RunText } from '../../gateway/gateway-jobs.ts';
import type { GatewayClient } from '../wire/gateway-client.ts';
import { GatewayRequestError } from '../../gateway/gateway-errors.ts';
import { messageContent, textOfContent } from './message-text.ts';
import { jobSessionOf, mainSessionOf } from './session-key.ts';

/** The gateway cuts its summary of a run at 2,000 characters and puts an ellipsis behind it. */
const CUT = /…$/;
const CUT_FROM = 1_900;
const ROW_CHARS = 500_000;
const ROWS = 200;
const ROWS_BYTES = 3 * 1024 ** 2;
/** The most that the gateway finds. */
const HITS = 25;
const MINUTE_MS = 60_000;
const INDEXING_MS = 500;
const INDEXING_LOOKS = 20;

const text = z.string().nullish().catch(null);

const historyAnswer = z.looseObject({
  sessionId: text,
  messages: z.array(
    z.looseObject({
      role: z.string(),
      content: messageContent.nullish().catch(null),
      idempotencyKey: text,
      __openclaw: z
        .looseObject({ runId: text, recordTimestampMs: z.number().nullish().catch(null) })
        .nullish()
        .catch(null),
    }),
  ),
});

const searchAnswer = z.looseObject({
  results: z.array(z.looseObject({ sessionKey: text, sessionId: text, messageId: text })),
  indexing: z.boolean().catch(false),
});

/**
 * All that a run of a job said. `heard` is what its `final` event said, where the watcher heard it; otherwise it is read
 * in the gateway's histories, which may have forgotten it. Throws GatewayRequestError when the gateway cannot be asked now.
 */
export async function fullTextOfRun(client: GatewayClient, run: CronRun, heard: string | null): Promise<RunText> {
  const { summary } = run;
  // Its attachments are in what was heard only.
  if (heard?.trim().startsWith(`${summary}\nMEDIA:`)) return { text: heard.trim(), isTruncated: false };
  if (summary.length < CUT_FROM || !CUT.test(summary)) return { text: summary, isTruncated: false };
  const beginning = summary.replace(CUT, '').trim();
  const isWhole = (said: string): boolean => said.trim().startsWith(beginning);
  if (heard !== null && isWhole(heard)) return { text: heard.trim(), isTruncated: false };
  const kept = (await keptTexts(client, run)).findLast(isWhole);
  return kept === undefined ? { text: summary, isTruncated: true } : { text: kept.trim(), isTruncated: false };
}

/**
 * What an agent replied to a reminder that it set itself. A reminder has no session: it comes up in the agent's main conversation, its
 * summary only repeats it, and its run ends as soon as the agent has answered. Null when the agent did not, or the
 * gateway does not have it any more. Throws GatewayRequestError when the gateway cannot be asked now.
 */
export async function replyToReminder(client: GatewayClient, gatewayAgentId: string, run: CronRun): Promise<RunText | null> {
  const main = await read(client, { sessionKey: mainSessionOf(gatewayAgentId) });
  const rows = (main?.messages ?? []).map(({ role, content, __openclaw: origin }) => ({ role, content, ...origin }));
  const meanwhile = rows.filter(({ role, recordTimestampMs: atMs }) => {
    return role === 'assistant' && atMs && atMs >= run.runAtMs && atMs <= run.endedAtMs;
  });
  const said = meanwhile.filter(({ runId }) => runId === meanwhile.at(-1)?.runId);
  const texts = said.map(({ content }) => textOfContent(content).trim()).filter((one) => one !== '');
  return texts.length === 0 ? null : { text: texts.join('\n\n'), isTruncated: false };
}

/** What the agent said in the session of this run, as far as the gateway gives it out. */
async function keptTexts(client: GatewayClient, run: CronRun): Promise<string[]> {
  const { session, sessionId } = run;
  if (session === null || sessionId === null) return [];
  const base = jobSessionOf(session.key);
  const last = await read(client, { sessionKey: base });
  if (last?.sessionId === sessionId) return textsOf(last);
  const hit = await findPrompt(client, run);
  if (!hit?.messageId) return [];
  const earlier = await read(client, { sessionKey: hit.sessionKey ?? base, sessionId, messageId: hit.messageId });
  return earlier ? textsOf(earlier) : [];
}

/** The prompt of this run, which names its job and the minute in which it was made. */
async function findPrompt(client: GatewayClient, { jobId, sessionId, runAtMs }: CronRun): Promise<Hit | null> {
  const minutes = [runAtMs, runAtMs + MINUTE_MS].map((atMs) => new Date(atMs).toISOString().slice(0, 16).replace('T', ' '));
  for (let looks = 0; ; looks += 1) {
    let isIndexing = false;
    for (const when of [...minutes, '']) {
      const found = await ask(client, 'sessions.search', { query: `${jobId} ${when}`, limit: HITS });
      const answer = searchAnswer.safeParse(found).data;
      const hit = answer?.results.find((one) => one.sessionId === sessionId);
      if (hit) return hit;
      isIndexing ||= answer?.indexing ?? false;
    }
    // A gateway that was killed indexes what it had written when it is back.
    if (!isIndexing || looks >= INDEXING_LOOKS) return null;
    await sleep(INDEXING_MS);
  }
}

type Hit = z.infer<typeof searchAnswer>['results'][number];
type History = z.infer<typeof historyAnswer>;

/** The prompt of a run comes as the assistant's too: it has a key. */
function textsOf({ messages }: History): string[] {
  return messages.flatMap(({ role, content, idempotencyKey }) =>
    role === 'assistant' && !idempotencyKey?.endsWith(':user') ? [textOfContent(content)] : [],
  );
}

async function read(client: GatewayClient, place: object): Promise<History | null> {
  const answer = await ask(client, 'chat.history', { ...place, limit: ROWS, maxChars: ROW_CHARS, maxBytes: ROWS_BYTES });
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
