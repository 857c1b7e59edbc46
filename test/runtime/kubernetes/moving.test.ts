import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { askMove } from '../../../database/moves/ask-move.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import type { TurnResult } from '../../../runtime/gateway/turn-results.ts';
import { hasCluster, MACHINE, openKubernetes, TEST_MS } from '../../support/kubernetes-under-test.ts';
import type { KubernetesUnderTest } from '../../support/kubernetes-under-test.ts';
import { openClaw } from '../../support/open-claw.ts';
import { startReconciler } from '../../workflows/reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from '../../workflows/reconciler-under-test.ts';

jest.setTimeout(TEST_MS);

// A worker that runs gateways as processes, and one that runs them on the cluster, with one database.
(hasCluster ? describe : describe.skip)('an instance', () => {
  let kubernetes: KubernetesUnderTest;
  let here: ReconcilerUnderTest;
  let there: ReconcilerUnderTest;
  let instance: InstanceWithAgent;

  beforeAll(async () => {
    kubernetes = await openKubernetes();
    here = await startReconciler({ program: openClaw, node: 'here', modelHost: MACHINE });
    const openDriver = (modelUrl: string) => kubernetes.openDriver({ RELAY_PORT: Number(new URL(modelUrl).port) });
    there = await startReconciler({ program: openClaw, node: 'there', modelHost: MACHINE, beside: here, openDriver });
    instance = await here.newInstance();
  });
  afterAll(async () => {
    await there?.close();
    await here?.close();
    await kubernetes?.close();
  });

  /** Sends a message of one conversation to the gateway that runs now, and answers the reply. */
  async function say(at: ReconcilerUnderTest, text: string, number: number): Promise<string> {
    const { runtimeId } = await here.row(instance.instanceId);
    const gateway = await at.deps.connections.get(runtimeId, AbortSignal.timeout(60_000));
    const { promise, resolve } = Promise.withResolvers<TurnResult>();
    const turn = {
      ...{ gatewayAgentId: instance.gatewayAgentId, conversationId: 'moved', messageId: `msg_${number}`, attempt: 1 },
      ...{ text, saidAtMs: Date.now(), traceId: String(number).padStart(32, '0') },
    };
    const first = await gateway.turns.send(turn, { timeoutSeconds: 120, onResult: resolve });
    const result = first.kind === 'accepted' ? await promise : first;
    if (result.kind !== 'done' || result.outcome.kind !== 'completed') throw new Error(JSON.stringify(result));
    return result.outcome.text;
  }

  async function move(to: string): Promise<void> {
    const { instanceId } = instance;
    const newRuntimeId = here.makeId('run');
    expect(await runTransaction(here.orm.em, (em) => askMove(em, { instanceId, to, newRuntimeId }))).toBe('asked');
    await here.reconcile(instanceId);
    expect(await here.statusOf(instanceId)).toMatchObject({ status: 'running', transition: null, deaths: 0 });
  }

  test('goes on with its conversations when it moves from a process to a Pod, and back', async () => {
    await here.power(instance.instanceId, 'start');
    await here.reconcile(instance.instanceId);
    expect(await say(here, 'My number is 4711.', 1)).toBe('You said: My number is 4711.');
    await move('kubernetes');
    expect(await say(there, 'And now?', 2)).toBe('You said: And now?');
    expect(JSON.stringify(there.model.calls.at(-1)?.messages)).toContain('My number is 4711.');
    await move('process');
    expect(await say(here, 'Once more.', 3)).toBe('You said: Once more.');
    expect(JSON.stringify(here.model.calls.at(-1)?.messages)).toMatch(/My number is 4711\..*And now\?/s);
  });
});
