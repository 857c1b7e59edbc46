import type { ServerResponse } from 'node:http';
import { createCallSlots, NoSlotError } from '../../lib/async/call-slots.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { isRuntimeId } from '../../runtime/host/runtime-layout.ts';
import type { Serve } from './instance-server.ts';
import { refuse } from '../refuse.ts';

/** A read that the engine does not answer keeps its place until the engine's call has ended. */
const READS = { atOnce: 4, waiting: 16, patienceMs: 5_000 };
const MAX_LINES = 1_000;
const PATH = /^\/runtimes\/([^/?]+)\/logs\?limit=([1-9]\d{0,3})$/;

/** `GET /runtimes/<runtimeId>/logs?limit=<n>`: the last lines of its log. */
export function createServeLog(driver: Pick<RuntimeDriver, 'logs'>): Serve {
  const reads = createCallSlots(READS);

  async function answer(response: ServerResponse, runtimeId: string, limit: number): Promise<void> {
    try {
      const lines = await reads.run('all', () => driver.logs(runtimeId, limit));
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ lines }));
    } catch (error) {
      if (!(error instanceof NoSlotError)) throw error;
      refuse(response, 503);
    }
  }

  return ({ method, url = '' }) => {
    const [, runtimeId, limit] = (method === 'GET' && PATH.exec(url)) || [];
    if (runtimeId === undefined || !isRuntimeId(runtimeId) || Number(limit) > MAX_LINES) return null;
    return {
      ticket: { kind: 'log', subject: runtimeId },
      answer: (response) => answer(response, runtimeId, Number(limit)),
    };
  };
}
