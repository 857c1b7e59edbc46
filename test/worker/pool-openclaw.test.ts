import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { query, sql } from '../../database/sql.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';
import { newInstance } from '../factories.ts';
import { PATIENCE_MS } from '../support/eventually.ts';
import { openClaw } from '../support/open-claw.ts';
import { startReconciler } from '../workflows/reconciler-under-test.ts';
import type { ReconcilerUnderTest } from '../workflows/reconciler-under-test.ts';
import { addActiveAgent } from './active-agent.ts';
import type { ActiveAgent } from './active-agent.ts';
import { keepTestPool, readyMembers } from './pool-under-test.ts';

const READY_MS = 6 * 60_000;

let reconciler: ReconcilerUnderTest;

beforeAll(async () => {
  reconciler = await startReconciler({ program: openClaw, node: 'here' });
});
afterAll(() => reconciler?.close());

async function say(gateway: Gateway, { gatewayAgentId }: ActiveAgent, text: string): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>();
  const place = { gatewayAgentId, conversationId: 'conv_first', messageId: reconciler.makeId('msg'), attempt: 1 };
  const turn = { ...place, text, saidAtMs: Date.now(), traceId: 'a'.repeat(32) };
  expect(await gateway.turns.send(turn, { timeoutSeconds: PATIENCE_MS / 1_000, onResult: resolve })).toEqual({
    kind: 'accepted',
  });
  return promise;
}

/** Every file below a folder with its content, by path. */
async function filesBelow(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const contents = await Promise.all(
    files.map(async (file) => [file.slice(folder.length), await readFile(file, 'base64')] as const),
  );
  return new Map(contents.toSorted(([one], [other]) => one.localeCompare(other)));
}

test(
  'an instance from the pool answers as its own agents, and nothing of the spare ones is there',
  async () => {
    const { driver, model, deps } = reconciler;
    const pool = await keepTestPool(reconciler, { size: 1 });
    const [member] = await readyMembers(reconciler, 1, READY_MS);
    await pool.stop();
    const warmUps = model.calls.length;
    const runtimeId = member?.runtimeId ?? '';
    const instance = await newInstance(reconciler.orm, { desiredStatus: 'stopped', status: 'stopped', shard: 0 });
    await reconciler.power(instance.instanceId, 'start');
    await reconciler.reconcile(instance.instanceId);
    expect(await reconciler.row(instance.instanceId)).toMatchObject({ status: 'running', runtimeId, gatewayEpoch: 1 });

    const first = await addActiveAgent(reconciler, instance, 'first');
    // It is the one that the gateway has what turns need ready for.
    expect(model.calls[warmUps - 1]?.authorization).toContain(`${first.agentId}.1.`);
    const gateway = await deps.connections.get(runtimeId, AbortSignal.timeout(PATIENCE_MS));
    expect(await say(gateway, first, 'Who are you?')).toMatchObject({
      kind: 'done',
      outcome: { text: 'You said: Who are you?' },
    });
    const call = model.calls.at(-1);
    expect(call?.authorization).toContain(`${first.agentId}.1.`);
    const prompt = JSON.stringify(call?.body);
    expect(prompt).toContain('Nightingale');
    expect(prompt).not.toContain('warm-up');
    // Of the throw-away turn neither: nothing was answered before.
    expect(call?.messages.filter(({ role }) => role === 'assistant')).toEqual([]);
    const sessions = await gateway.turns.sessionsSince(0);
    expect(sessions.map(({ session }) => session.key)).toEqual([expect.stringContaining('conv_first')]);
    expect(await sparesOf(runtimeId)).toHaveLength(1);

    // One that takes no spare agent.
    await addActiveAgent(reconciler, instance, 'second');
    const cold = await addActiveAgent(reconciler, instance, 'third');
    expect(await say(gateway, cold, 'And you?')).toMatchObject({ kind: 'done' });
    const paths = driver.paths(runtimeId);
    const own = await filesBelow(paths.workspaceOf(first.gatewayAgentId));
    expect(own).toEqual(await filesBelow(paths.workspaceOf(cold.gatewayAgentId)));
    expect(warmUps).toBeGreaterThan(0);
  },
  10 * 60_000,
);

async function sparesOf(runtimeId: string): Promise<unknown[]> {
  return query(reconciler.orm.em.fork(), sql`select id from spare_agents where runtime_id = ${runtimeId}`);
}
