import { z } from 'zod';
import type { SessionSeen, UnpromptedRun } from '../../gateway/gateway.ts';
import { sessionOf } from './session-key.ts';
import type { GatewayClient } from '../wire/gateway-client.ts';
import type { GatewayHistory } from './gateway-history.ts';
import { gatewayId } from '../wire/bounded-text.ts';
import { pagesOf } from '../wire/gateway-pages.ts';
import { decideRecovery, rerunsOf } from './recovery.ts';

const PAGE = 200;
const MAX_PAGES = 50;

const sessionsPage = z.looseObject({
  sessions: z.array(z.looseObject({ key: gatewayId, updatedAt: z.number().nullish().catch(null) })),
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

interface SessionsPage {
  sessions: SessionSeen[];
  nextOffset: number | null;
}

/**
 * The conversations in which something happened since then, jobs' own and helpers of agents left out. Throws
 * GatewayRequestError, and GatewayFloodError: see pagesOf.
 */
export async function listSessionsSince(client: GatewayClient, sinceMs: number): Promise<SessionSeen[]> {
  const seen: SessionSeen[] = [];
  const read = async (offset: number): Promise<SessionsPage> => {
    const params = { limit: PAGE, offset, sortBy: 'updatedAt', excludeCron: true, excludeSubagents: true };
    const page = sessionsPage.parse(await client.request('sessions.list', params));
    const sessions = page.sessions.map(({ key, updatedAt }) => ({ session: sessionOf(key), updatedAtMs: updatedAt ?? 0 }));
    return { sessions, nextOffset: page.nextOffset ?? null };
  };
  for await (const { sessions } of pagesOf(client, { of: 'sessions.list', maxPages: MAX_PAGES, read })) {
    seen.push(...sessions.filter(({ updatedAtMs }) => updatedAtMs >= sinceMs));
    if (sessions.every(({ updatedAtMs }) => updatedAtMs < sinceMs)) break;
  }
  return seen;
}
