import { z } from 'zod';
import type { GatewayClient } from '../wire/gateway-client.ts';
import { messageContent, textOfContent } from './message-text.ts';
import { callsIn, toolAnswer } from './history-calls.ts';
import type { CalledTool, ToolAnswer } from './history-calls.ts';

/** A conversation as its gateway keeps it: its last rows, oldest first, and what is under way. */
export interface GatewayHistory {
  /** Null: the gateway knows no such conversation. */
  sessionId: string | null;
  rows: readonly HistoryRow[];
  /** The run that is at work in this conversation now, with its answer so far. */
  inFlightRun: { runId: string; text: string } | null;
  /** `running` also while a run that a dead gateway left behind waits to be repeated. */
  status: string | null;
  lastRunId: string | null;
  /** Turns that wait or waited in the gateway's queue. */
  pendingInputs: readonly PendingInput[];
  /** What the gateway knows about the keys that were asked for. */
  inputReceipts: readonly PendingInput[];
}

export interface PendingInput {
  runId: string;
  state: string;
}

export interface HistoryRow {
  role: string;
  text: string;
  /** `<key>:user` for what was said to start a run; `<key>:assistant` and `<key>:terminal-error` for rows of the gateway's own making. */
  key: string | null;
  /** Of what a run added; null for user rows. */
  runId: string | null;
  stopReason: string | null;
  errorMessage: string | null;
  callsTool: boolean;
  /** The tools that it calls. */
  calls: readonly CalledTool[];
  /** Which call the row answers; null for every other one. */
  answers: ToolAnswer | null;
  /** The text is what an aborted run had said until then. */
  aborted: boolean;
  /** Written by the gateway to repeat a run that a dead gateway left behind. */
  restartsRun: boolean;
  /** Written by the gateway to begin a run of a job. */
  startsJob: boolean;
  customType: string | null;
  id: string | null;
  /** When it was written, by the gateway's clock. */
  atMs: number | null;
  /** It is too large for a page of history (128 KiB), which has its place and its key only. */
  omitted: boolean;
}

/** The tail that recovery needs: a turn with some seventy tool calls. */
const ROWS = 200;
const ROW_CHARS = 500_000;
/** Of all rows together: the rest of the answer has room in a frame too. The gateway leaves the oldest out. */
const ROWS_BYTES = 3 * 1024 ** 2;
/** For one row that is asked for alone, of up to three bytes a character. */
const MAX_ROW_CHARS = 1_048_576;
/** For all of them together: more than is kept of a reply. */
const MAX_WHOLE_CHARS = 4 * MAX_ROW_CHARS;
const MAX_KEYS = 50;

const text = z.string().nullish().catch(null);
const pendingInput = z.looseObject({ runId: z.string(), state: z.string() });

const row = z
  .looseObject({
    role: z.string(),
    content: messageContent.nullish().catch(null),
    idempotencyKey: text,
    stopReason: text,
    errorMessage: text,
    customType: text,
    openclawAbort: z.looseObject({ aborted: z.boolean() }).nullish().catch(null),
    provenance: z.looseObject({ sourceTool: text }).nullish().catch(null),
    __openclaw: z
      .looseObject({
        id: text,
        runId: text,
        idempotencyKey: text,
        reason: text,
        recordTimestampMs: z.number().nullish().catch(null),
      })
      .nullish()
      .catch(null),
  })
  .transform((raw): HistoryRow => {
    const { content, __openclaw: origin } = raw;
    return {
      role: raw.role,
      text: textOfContent(content),
      id: origin?.id ?? null,
      atMs: origin?.recordTimestampMs ?? null,
      key: raw.idempotencyKey ?? origin?.idempotencyKey ?? null,
      runId: origin?.runId ?? null,
      stopReason: raw.stopReason ?? null,
      errorMessage: raw.errorMessage ?? null,
      callsTool: Array.isArray(content) && content.some(({ type }) => type === 'toolCall'),
      calls: callsIn(content),
      answers: raw.role === 'toolResult' ? (toolAnswer.safeParse(raw).data ?? null) : null,
      aborted: raw.openclawAbort?.aborted ?? false,
      restartsRun: raw.provenance?.sourceTool === 'main_session_restart_recovery',
      startsJob: raw.provenance?.sourceTool === 'cron',
      customType: raw.customType ?? null,
      omitted: origin?.reason === 'oversized',
    };
  });

const wholeMessage = z.looseObject({ message: row.nullish().catch(null) });

const answer = z.looseObject({
  sessionId: text,
  messages: z.array(row),
  inFlightRun: z.looseObject({ runId: z.string(), text: z.string().catch('') }).nullish(),
  sessionInfo: z.looseObject({ status: text, lastRunId: text }).nullish().catch(null),
  pendingInputs: z
    .looseObject({ items: z.array(pendingInput) })
    .nullish()
    .catch(null),
  inputReceipts: z.array(pendingInput).nullish().catch(null),
});

/**
 * Reads the end of a conversation and what became of these keys (50 at most). Throws GatewayRequestError; a gateway
 * that drains refuses it.
 */
export async function readHistory(
  client: GatewayClient,
  { sessionKey, keys, signal }: { sessionKey: string; keys: readonly string[]; signal?: AbortSignal },
): Promise<GatewayHistory> {
  if (keys.length > MAX_KEYS) throw new Error(`A history can be asked about ${MAX_KEYS} keys at most, not ${keys.length}`);
  const params = {
    sessionKey,
    limit: ROWS,
    maxChars: ROW_CHARS,
    maxBytes: ROWS_BYTES,
    ...(keys.length > 0 && { inputRunIds: keys }),
  };
  const read = async () => parseHistory(await client.request('chat.history', params, signal ? { signal } : {}));
  const first = await read();
  const { status, lastRunId, inFlightRun } = first;
  // The gateway reads the rows before the status: a run may have ended in between, and its answer would be missing.
  const ended = status !== null && status !== 'running';
  const last = ended ? await read() : first;
  return { ...last, rows: await withOmittedAnswers(client, sessionKey, last.rows), status, lastRunId, inFlightRun };
}

/** Large answers have to be asked for one by one, the last first: there is a limit to all of them. */
async function withOmittedAnswers(client: GatewayClient, sessionKey: string, rows: readonly HistoryRow[]): Promise<HistoryRow[]> {
  const whole: HistoryRow[] = [];
  let chars = 0;
  for (const found of rows.toReversed()) {
    const { omitted, role, id: messageId } = found;
    const asked = omitted && role === 'assistant' && messageId !== null && chars < MAX_WHOLE_CHARS;
    const got = asked ? ((await wholeRow(client, { sessionKey, messageId })) ?? found) : found;
    if (asked) chars += got.text.length;
    whole.push(got);
  }
  return whole.toReversed();
}

async function wholeRow(client: GatewayClient, at: { sessionKey: string; messageId: string }): Promise<HistoryRow | null> {
  const answered = await client.request('chat.message.get', { ...at, maxChars: MAX_ROW_CHARS });
  return wholeMessage.parse(answered).message ?? null;
}

/** An answer to chat.history. Throws ZodError for anything else. */
export function parseHistory(payload: unknown): GatewayHistory {
  const parsed = answer.parse(payload);
  return {
    sessionId: parsed.sessionId ?? null,
    rows: parsed.messages,
    inFlightRun: parsed.inFlightRun ? { runId: parsed.inFlightRun.runId, text: parsed.inFlightRun.text } : null,
    status: parsed.sessionInfo?.status ?? null,
    lastRunId: parsed.sessionInfo?.lastRunId ?? null,
    pendingInputs: (parsed.pendingInputs?.items ?? []).map(stateOf),
    inputReceipts: (parsed.inputReceipts ?? []).map(stateOf),
  };
}

function stateOf({ runId, state }: PendingInput): PendingInput {
  return { runId, state };
}
