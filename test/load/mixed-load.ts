import { setTimeout as sleep } from 'node:timers/promises';
import type { ApiClient } from '../support/api-client.ts';
import type { Dice } from '../support/campaign.ts';
import type { Outcome, Recording } from './record.ts';

type Account = ApiClient & { accountId: string };

interface World {
  account: Account;
  /** Runs all the time. */
  instanceId: string;
  agentId: string;
  /** Is started and stopped. */
  otherId: string;
}

const READERS = 6;
const READ_PAUSE_MS = 60;
const WRITE_PAUSE_MS = 150;
const MESSAGE_PAUSE_MS = 1_500;
const POWER_PAUSE_MS = 45_000;
/** Longer than a drain, a start and the recovery of a turn take together. */
const CALL_MS = 180_000;

/** An account with two instances and an agent. */
export async function makeWorld(account: Account): Promise<World> {
  const { instanceId } = await account.ok('POST', '/instances?wait=60', { name: 'load' });
  const { instanceId: otherId } = await account.ok('POST', '/instances?wait=60', { name: 'other' });
  const agent = { name: 'a', slug: 'agent', displayName: 'Agent' };
  const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
  return { account, instanceId, agentId, otherId };
}

/** Everybody at once until the signal: readers, writers, two conversations, and somebody at the power switch. */
export async function runMixedLoad(
  world: World,
  dice: Dice,
  recording: Recording,
  signal: AbortSignal,
): Promise<{ said: string[] }> {
  const { account, instanceId, agentId, otherId } = world;
  const instance = `/instances/${instanceId}`;
  const messages = `${instance}/agents/${agentId}/messages`;
  const reads = [
    instance,
    '/instances',
    '/auth/me',
    `${instance}/agents`,
    messages,
    `${instance}/events`,
    '/events',
    '/billing/usage',
  ];
  const said: string[] = [];
  const call = (kind: Outcome['kind'], method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
    observe(recording, kind, () => account.call(method, path, body, { headers, signal: AbortSignal.timeout(CALL_MS) }));
  const repeat = async (pauseMs: number, work: (round: number) => Promise<unknown>): Promise<void> => {
    for (let round = 0; !signal.aborted; round += 1) {
      await work(round);
      await sleep(pauseMs * (0.5 + dice.next()), undefined, { signal }).catch(() => undefined);
    }
  };

  const reader = () => repeat(READ_PAUSE_MS, () => call('read', 'GET', dice.pick(reads)));
  const writer = () =>
    repeat(WRITE_PAUSE_MS, async () => {
      const made = await call('write', 'POST', '/auth/keys', { name: 'load' });
      if (made?.status === 201) await call('write', 'DELETE', `/auth/keys/${made.body.keyId}`);
    });
  const talker = (name: string) =>
    repeat(MESSAGE_PAUSE_MS, async (round) => {
      const text = `${name} ${round} of ${dice.seed}`;
      const key = { 'idempotency-key': text };
      const body = { message: `${text} [[WORDS 5]]`, sessionId: name, stream: dice.next() < 0.3 };
      if (!body.stream) {
        // As a careful client: again with the same key until it is answered.
        for (let tries = 0; tries < 60 && !signal.aborted; tries += 1) {
          const answer = await call('message', 'POST', messages, body, key);
          if (answer?.status === 200) return void said.push(text);
          await sleep(1_000);
        }
        return;
      }
      await observe(recording, 'message', async () => {
        const response = await account.raw('POST', messages, body, AbortSignal.timeout(CALL_MS));
        const answer = await response.text();
        return { status: response.status, body: response.ok ? {} : JSON.parse(answer) };
      });
    });
  const switcher = () =>
    repeat(POWER_PAUSE_MS, (round) => call('power', 'POST', `/instances/${otherId}/${round % 2 === 0 ? 'stop' : 'start'}`));

  await Promise.all([...Array.from({ length: READERS }, reader), writer(), writer(), talker('one'), talker('two'), switcher()]);
  return { said };
}

/** Calls and records; null where no answer came. */
async function observe<T extends { status: number; body: { error?: { code?: string } } }>(
  recording: Recording,
  kind: Outcome['kind'],
  send: () => Promise<T>,
): Promise<T | null> {
  const startedAt = performance.now();
  try {
    const answer = await send();
    recording.add({
      kind,
      startedAt,
      ms: performance.now() - startedAt,
      status: answer.status,
      code: answer.body.error?.code ?? null,
    });
    return answer;
  } catch (error) {
    recording.add({ kind, startedAt, ms: performance.now() - startedAt, status: null, code: String(error) });
    return null;
  }
}
