import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { createCallSlots, NoSlotError } from '../../lib/async/call-slots.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { isRuntimeId } from '../../runtime/host/runtime-layout.ts';
import type { Serve } from './instance-server.ts';
import { refuse } from '../refuse.ts';

/** Each reads a whole disk. */
const READS = { atOnce: 4, waiting: 16, patienceMs: 60_000 };
/** As long as the step that asks for it. */
const LIMIT_MS = 3_600_000;
const PATH = /^\/runtimes\/([^/?]+)\/state$/;

/** `GET /runtimes/<runtimeId>/state`: what it stores, as RuntimeDriver.readState says; nothing when nothing is stored. Refused while its gateway runs. */
export function createServeState(driver: Pick<RuntimeDriver, 'readState' | 'inspect'>): Serve {
  const reads = createCallSlots(READS);

  async function send(response: ServerResponse, runtimeId: string): Promise<void> {
    const { status } = await driver.inspect(runtimeId);
    if (status === 'running' || status === 'suspended') return refuse(response, 503);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(LIMIT_MS)]);
    const state = await driver.readState(runtimeId, signal);
    response.writeHead(200, { 'content-type': 'application/octet-stream', ...(state === null && { 'content-length': 0 }) });
    if (state) await pipeline(state, response, { signal });
    else response.end();
  }

  async function answer(response: ServerResponse, runtimeId: string): Promise<void> {
    try {
      await reads.run('all', () => send(response, runtimeId));
    } catch (error) {
      if (!(error instanceof NoSlotError)) throw error;
      refuse(response, 503);
    }
  }

  return ({ method, url = '' }) => {
    const [, runtimeId] = (method === 'GET' && PATH.exec(url)) || [];
    if (runtimeId === undefined || !isRuntimeId(runtimeId)) return null;
    return { ticket: { kind: 'state', subject: runtimeId }, answer: (response) => answer(response, runtimeId) };
  };
}
