import { expect } from '@jest/globals';
import { query, sql } from '../../database/sql.ts';
import type { TurnResult } from '../../runtime/gateway/turn-results.ts';
import { newInstance } from '../factories.ts';
import { eventually } from '../support/eventually.ts';
import { addActiveAgent } from './active-agent.ts';
import { keepTestPool, membersOf, readyMembers } from './pool-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';

interface Options {
  /** What one wait may take. */
  withinMs: number;
}

export interface HandedOver {
  instanceId: string;
  runtimeId: string;
  /** Sends a message of one conversation to the gateway that runs now, and answers the reply. */
  say(text: string): Promise<string>;
  /** Deletes the instance; nothing of it or of the pool may be left. */
  destroy(): Promise<void>;
}

/**
 * A new instance takes the ready gateway of a driver's pool: the same process answers as its own agent, under a higher fence; what the
 * pool does not hand out is removed whole.
 */
export async function expectHandedOver(reconciler: ReconcilerUnderTest, { withinMs }: Options): Promise<HandedOver> {
  const { driver, deps, orm } = reconciler;
  const starts: { isClaimed: boolean }[] = [];
  const pool = await keepTestPool(reconciler, { size: 1, givesWay: true, onStart: (start) => void starts.push(start) });
  const runtimeId = (await readyMembers(reconciler, 1, withinMs))[0]?.runtimeId ?? '';
  await pool.stop();
  const [before, fence] = [await driver.inspect(runtimeId), await driver.fenceOf(runtimeId)];

  const instance = await newInstance(orm, { desiredStatus: 'stopped', status: 'stopped', shard: 0 });
  const { instanceId } = instance;
  await reconciler.power(instanceId, 'start');
  await reconciler.reconcile(instanceId);
  expect(starts).toEqual([{ isClaimed: true }]);
  expect(await reconciler.row(instanceId)).toMatchObject({ status: 'running', runtimeId, gatewayEpoch: 1, deaths: [] });
  const { gatewayAgentId } = await addActiveAgent(reconciler, instance, 'first');

  async function say(text: string): Promise<string> {
    const gateway = await deps.connections.get(runtimeId, AbortSignal.timeout(withinMs));
    const { promise, resolve } = Promise.withResolvers<TurnResult>();
    const place = { gatewayAgentId, conversationId: 'first', messageId: reconciler.makeId('msg'), attempt: 1 };
    const turn = { ...place, text, saidAtMs: Date.now(), traceId: 'a'.repeat(32) };
    const sent = await gateway.turns.send(turn, { timeoutSeconds: withinMs / 1_000, onResult: resolve });
    const result = sent.kind === 'accepted' ? await promise : sent;
    if (result.kind !== 'done' || result.outcome.kind !== 'completed') throw new Error(JSON.stringify(result));
    return result.outcome.text;
  }
  expect(await say('Who are you?')).toBe('You said: Who are you?');
  expect((await driver.inspect(runtimeId)).startedAt).toEqual(before.startedAt);
  expect(await driver.fenceOf(runtimeId)).toBeGreaterThan(fence);

  const refill = await keepTestPool(reconciler, { size: 1 });
  await eventually(async () => expect(await membersOf(reconciler)).toHaveLength(1), withinMs);
  await refill.empty();
  deps.pool = null;
  expect(await membersOf(reconciler)).toEqual([]);
  expect((await driver.list()).map((state) => state.runtimeId)).toEqual([runtimeId]);
  const runtimes = await query<{ id: string }>(orm.em.fork(), sql`select id from runtimes`);
  expect(runtimes).toEqual([{ id: runtimeId }]);

  async function destroy(): Promise<void> {
    await reconciler.power(instanceId, 'destroy');
    await reconciler.reconcile(instanceId);
    expect(await driver.list()).toEqual([]);
  }
  return { instanceId, runtimeId, say, destroy };
}
