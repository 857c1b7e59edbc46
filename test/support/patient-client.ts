import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorCode } from '../../domain/errors.ts';
import type { Answer, ApiClient, Json } from './api-client.ts';
import { eventually, PATIENCE_MS } from './eventually.ts';

/** What a careful client of the API does on a busy machine: it waits, and repeats a call under the key of the call. */

const AGAIN_MS = 200;
/** For a start of the gateway and a turn after it. */
const LONGEST_MS = 2 * PATIENCE_MS;
/** What passes by itself: a part of the stack is away, the gateway is being started, or another call has the key. */
const PASSES: ErrorCode[] = ['instance_not_ready', 'internal_error', 'timeout', 'conflict', 'rate_limited', 'unavailable'];

export interface Call {
  method: string;
  path: string;
  body?: object;
  /** Its idempotency key; a call without one may be carried out several times. */
  key?: string;
}

/** Calls until an answer comes that stands, which is the first one that is no passing error. */
export async function insist(account: ApiClient, { method, path, body, key }: Call): Promise<Answer> {
  const giveUp = AbortSignal.timeout(LONGEST_MS);
  const options = { signal: giveUp, headers: key === undefined ? {} : { 'idempotency-key': key } };
  for (let last = ''; ; await sleep(AGAIN_MS)) {
    if (giveUp.aborted) throw new Error(`${method} ${path} did not get through: ${last}`);
    const answer = await account.call(method, path, body, options).catch((error: unknown) => {
      last = String(error);
      return null;
    });
    if (answer && !PASSES.includes(answer.body.error?.code)) return answer;
    if (answer) last = JSON.stringify(answer.body);
    const instance = /^\/instances\/[^/?]+/.exec(path)?.[0];
    if (answer?.body.error?.code === 'instance_not_ready' && instance) await startAgain(account, instance).catch(() => undefined);
  }
}

/** The reply to this message, which goes to the messages of an agent at this path. */
export async function say(account: ApiClient, path: string, message: object): Promise<Json> {
  const body = { timeoutMs: PATIENCE_MS, ...message };
  const answer = await insist(account, { method: 'POST', path, body, key: randomUUID() });
  if (answer.status !== 200) throw new Error(`${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return answer.body;
}

/** The stream that answers this message, once its instance takes it. */
export function openStream(account: ApiClient, path: string, message: object): Promise<Response> {
  return eventually(async () => {
    const response = await account.raw('POST', path, { ...message, stream: true });
    if (!response.ok) throw new Error(`${path} answered ${response.status}: ${await response.text()}`);
    return response;
  });
}

/** Waits until this instance has this status and nothing is under way. One that is to run and has given up is started again. */
export function untilStatus(account: ApiClient, instanceId: string, status: 'running' | 'stopped'): Promise<void> {
  return eventually(async () => {
    const shown = await account.ok('GET', `/instances/${instanceId}`);
    if (shown.status === status && shown.transition === null) return;
    if (status === 'running') await startAgain(account, `/instances/${instanceId}`);
    throw new Error(`It is not ${status}: ${JSON.stringify(shown)}`);
  });
}

/** A new agent of this instance, and the path of its messages, once messages are taken. */
export async function newAgent(account: ApiClient, instanceId: string): Promise<{ agentId: string; path: string }> {
  const agents = `/instances/${instanceId}/agents`;
  const { agentId } = await account.ok('POST', agents, { name: 'a', slug: 'agent', displayName: 'Agent' });
  await untilStatus(account, instanceId, 'running');
  await eventually(async () => {
    const { status } = await account.ok('GET', `${agents}/${agentId}`);
    if (status !== 'active') throw new Error(`The agent is ${status}`);
  });
  return { agentId, path: `${agents}/${agentId}/messages` };
}

/** Five deaths within ten minutes are too many for an instance to come back by itself. */
async function startAgain(account: ApiClient, instance: string): Promise<void> {
  const { status } = await account.ok('GET', instance);
  if (status === 'error') await account.ok('POST', `${instance}/start`);
}
