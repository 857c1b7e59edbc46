import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { instanceWorkflowId } from '../../domain/temporal/workflow-ids.ts';
import { eventually } from '../support/eventually.ts';
import { controlScripted, SCRIPTED_GATEWAY } from '../support/scripted-gateway/scripted-control.ts';
import { newAgentWithFiles, startReconciler } from './reconciler-under-test.ts';
import type { InstanceWithAgent, ReconcilerUnderTest } from './reconciler-under-test.ts';

describe('the life of an instance', () => {
  let reconciler: ReconcilerUnderTest;
  let instance: InstanceWithAgent;

  beforeAll(async () => {
    reconciler = await startReconciler({ program: async () => SCRIPTED_GATEWAY, maxRunning: 16 });
  });
  beforeEach(async () => {
    instance = await reconciler.newInstance();
  });
  afterAll(() => reconciler.close());

  const start = async () => {
    await reconciler.power(instance.instanceId, 'start');
    await reconciler.reconcile(instance.instanceId);
  };

  const status = () => reconciler.statusOf(instance.instanceId);
  /** Its first gateway takes so long to start that something newer is accepted meanwhile. */
  const startsLate = () => {
    const control = controlScripted(reconciler.driver.paths(instance.runtimeId).stateDir);
    control.misbehave({ kind: 'start-late', afterMs: 20_000 });
  };

  test('a start ends with a gateway that has its agents and files, takes messages, and is paid for', async () => {
    await start();
    expect(await status()).toMatchObject({ status: 'running', transition: null, openIntervals: 1, hasSlot: true, deaths: 0 });
    expect((await status()).bootId).not.toBeNull();
    const { searchAttributes } = await reconciler.client.workflow.getHandle(instanceWorkflowId(instance.instanceId)).describe();
    expect(searchAttributes).toMatchObject({
      AccountId: [instance.accountId],
      InstanceId: [instance.instanceId],
      Operation: ['start'],
    });
    expect(await agentStatus(instance.agentId)).toBe('active');
    expect(await filesToApply()).toBe(0);
  });

  test('new agents and files reach the running gateway without a restart and without a transition', async () => {
    await start();
    const before = await status();
    const { instanceId, accountId } = instance;
    await sql('update instances set content_generation = content_generation + 1 where id = ?', instanceId);
    const { agentId } = await newAgentWithFiles(reconciler.orm, {
      ...{ instance: instanceId, account: accountId, slug: 'beta', generation: 2 },
    });
    await reconciler.reconcile(instanceId);
    expect(await agentStatus(agentId)).toBe('active');
    expect(await status()).toMatchObject({ status: 'running', transition: null, bootId: before.bootId });

    await sql(
      `update instances set content_generation = content_generation + 1 where id = '${instanceId}'
        and exists (select from agents where id = ?)`,
      agentId,
    );
    await sql(`update agents set deleted_at = now(), status = 'deleting', generation = 3 where id = ?`, agentId);
    await reconciler.reconcile(instanceId);
    const [removed] = await sql<{ removed: boolean }>(
      'select removed_at is not null as removed from agents where id = ?',
      agentId,
    );
    expect(removed).toEqual({ removed: true });
  });

  test('a restart makes a new gateway process, and the status stays running', async () => {
    await start();
    const before = await status();
    // Long enough to be seen.
    const control = controlScripted(reconciler.driver.paths(instance.runtimeId).stateDir);
    control.misbehave({ kind: 'start-late', afterMs: 5_000 }, { survivesRestart: true });
    await sql('update instances set restart_generation = restart_generation + 1 where id = ?', instance.instanceId);
    const run = await reconciler.wake(instance.instanceId);
    await eventually(async () => expect(await status()).toMatchObject({ status: 'running', transition: 'restarting' }));
    await reconciler.ended(run);
    const after = await status();
    expect(after).toMatchObject({ status: 'running', transition: null, openIntervals: 1, deaths: 0 });
    expect(after.bootId).not.toBe(before.bootId);
  });

  test('a stop ends the gateway, frees the slot and closes the meter', async () => {
    await start();
    await reconciler.power(instance.instanceId, 'stop');
    await reconciler.reconcile(instance.instanceId);
    expect(await status()).toMatchObject({
      status: 'stopped',
      transition: null,
      bootId: null,
      openIntervals: 0,
      hasSlot: false,
    });
    expect(await reconciler.driver.inspect(instance.runtimeId)).toMatchObject({ status: 'exited' });
  });

  test('a stop that is accepted during a start ends it at once, and leaves nothing running', async () => {
    startsLate();
    await reconciler.power(instance.instanceId, 'start');
    const run = await reconciler.wake(instance.instanceId);
    await eventually(async () => expect((await status()).step).toBe('waiting_for_gateway'));
    await reconciler.power(instance.instanceId, 'stop');
    await reconciler.wake(instance.instanceId);
    await reconciler.ended(run);
    expect(await status()).toMatchObject({ status: 'stopped', transition: null, bootId: null, openIntervals: 0 });
    expect(await reconciler.driver.inspect(instance.runtimeId)).toMatchObject({ status: 'exited' });
  });

  test('a delete that is accepted during a start wins, and nothing of the instance is left', async () => {
    startsLate();
    await reconciler.power(instance.instanceId, 'start');
    const run = await reconciler.wake(instance.instanceId);
    await eventually(async () => expect((await status()).step).toBe('waiting_for_gateway'));
    await reconciler.power(instance.instanceId, 'destroy');
    await reconciler.wake(instance.instanceId);
    await reconciler.ended(run);
    expect(await status()).toMatchObject({
      status: 'destroying',
      isGone: true,
      bootId: null,
      openIntervals: 0,
      hasSlot: false,
    });
    expect(await reconciler.driver.inspect(instance.runtimeId)).toMatchObject({ status: 'absent' });
    expect(await filesToApply()).toBe(0);
  });

  async function sql<T extends object>(statement: string, id: string): Promise<T[]> {
    return reconciler.orm.em.fork().execute<T[]>(statement, [id]);
  }

  async function agentStatus(agentId: string): Promise<string | undefined> {
    const [row] = await sql<{ status: string }>('select status from agents where id = ?', agentId);
    return row?.status;
  }

  async function filesToApply(): Promise<number | undefined> {
    const [row] = await sql<{ count: number }>(
      `select count(*)::int as count from agent_files join agents on agents.id = agent_id where instance_id = ? and not applied`,
      instance.instanceId,
    );
    return row?.count;
  }
});
