import { z } from 'zod';
import type { FinishReason } from '../../domain/turn.ts';
import type { GatewayClient } from './gateway-client.ts';
import type { GatewayHistory } from './gateway-history.ts';
import { decideRecovery, rerunsOf } from './recovery.ts';

/** What an agent said by itself: in a run that nobody's message began. */
export interface UnpromptedRun {
  runId: string;
  text: string;
  finishReason: FinishReason;
  /** When its last words were written, by the gateway's clock; null: not known. */
  atMs: number | null;
}

export interface SessionSeen {
  sessionKey: string;
  /** By the gateway's clock. */
  updatedAtMs: number;
}

const PAGE = 200;

const sessionsPage = z.looseObject({
  sessions: z.array(z.looseObject({ key: z.string(), updatedAt: z.number().nullish().catch(null) })),
  nextOffset: z.number().nullish().catch(null),
});

/**
 * The finished runs of a conversation that were begun by neither one of these keys (what `isOurs` says yes to) nor by a
 * gateway that repeated one of them, nor by a job. A run whose beginning lies before the rows that were read is left out.
 */
export function unpromptedRuns(history: GatewayHistory, isOurs: (runId: string) => boolean): UnpromptedRun[] {
  return history.rows.flatMap(({ key, restartsRun, startsJob }) => {
    if (restartsRun || startsJob || !key?.endsWith(':user')) return [];
    const runId = key.slice(0, -':user'.length);
    if (isOurs(runId)) return [];
    const end = decideRecovery(history, runId);
    return end.kind === 'finished' && end.text !== ''
      ? [{ runId, text: end.text, finishReason: end.finishReason, atMs: endOf(history, runId) }]
      : [];
  });
}

function endOf(history: GatewayHistory, runId: string): number | null {
  const runs = [runId, ...rerunsOf(history, runId)];
  return history.rows.findLast((row) => row.role === 'assistant' && row.runId !== null && runs.includes(row.runId))?.atMs ?? null;
}

/** The conversations in which something happened since then, jobs' own and helpers of agents left out. Throws GatewayRequestError. */
export async function listSessionsSince(client: GatewayClient, sinceMs: number): Promise<SessionSeen[]> {
  const seen: SessionSeen[] = [];
  for (let offset: number | null = 0; offset !== null;) {
    const params = { limit: PAGE, offset, sortBy: 'updatedAt', excludeCron: true, excludeSubagents: true };
    const page = sessionsPage.parse(await client.request('sessions.list', params));
    const rows = page.sessions.map(({ key, updatedAt }) => ({ sessionKey: key, updatedAtMs: updatedAt ?? 0 }));
    seen.push(...rows.filter(({ updatedAtMs }) => updatedAtMs >= sinceMs));
    const isOld = rows.every(({ updatedAtMs }) => updatedAtMs < sinceMs);
    offset = isOld ? null : (page.nextOffset ?? null);
  }
  return seen;
}
