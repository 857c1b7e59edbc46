import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StaleEpochError } from '../../runtime/driver.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { eventually } from '../support/eventually.ts';
import { sharesOf } from '../support/resident-memory.ts';
import { requireSwap } from '../support/swap-under-test.ts';
import { at, becomesReady, commandLines, LIMIT_MS, RUNTIME, specOf, statusOfAgent } from './driver-contract.ts';
import type { DriverHarness } from './driver-contract.ts';

interface SuspensionHarness extends DriverHarness {
  /** All processes of a gateway, as this machine numbers them. */
  pidsOf(runtimeId: string): Promise<number[]>;
}

/** What a suspended gateway may still hold of the memory. */
const LEFT_MIB = 40;

/** What RuntimeDriver promises of suspended gateways, on a machine with swap. The cases share one gateway, in order. */
export function describeSuspension(name: string, createHarness: () => Promise<SuspensionHarness>): void {
  describe(`${name} driver: a suspended gateway`, () => {
    let harness: SuspensionHarness;
    let driver: RuntimeDriver;

    beforeAll(async () => {
      await requireSwap();
      harness = await createHarness();
      driver = harness.openDriver();
      await driver.ensureRunning(specOf(driver, ['alpha']), at(1));
      await becomesReady(driver);
    }, LIMIT_MS);
    afterAll(async () => {
      await driver.destroy(RUNTIME, at(1_000));
      await harness.close();
    }, LIMIT_MS);

    const suspended = async () => (await driver.inspect(RUNTIME)).status === 'suspended';

    test('gives its memory back, is shown as suspended by every driver, and answers once it is resumed', async () => {
      const before = await driver.inspect(RUNTIME);
      const pids = await harness.pidsOf(RUNTIME);
      expect(await driver.suspend(RUNTIME, at(1))).toBe('suspended');
      expect((await sharesOf(pids)).residentMiB).toBeLessThan(LEFT_MIB);

      const other = harness.openDriver();
      expect(await other.inspect(RUNTIME)).toEqual({ ...before, status: 'suspended' });
      expect(await other.list()).toContainEqual({ ...before, status: 'suspended' });
      expect(await other.endpoint(RUNTIME)).toBeNull();
      expect(await other.exitOf(RUNTIME)).toBeNull();
      expect(await other.activityOf(RUNTIME)).toMatchObject({ isFrozen: true });

      expect(await other.resume(RUNTIME, at(2))).toBe(true);
      expect(await driver.inspect(RUNTIME)).toEqual(before);
      await becomesReady(driver);
      expect(await statusOfAgent(driver, 'alpha')).toBe(200);
      expect(await driver.resume(RUNTIME, at(2))).toBe(false);
    });

    test('is halted with everything that its agents started, and so is what it starts meanwhile', async () => {
      const beats = `tmp/beats-${randomInt(1_000_000)}`;
      await harness.runInside(
        RUNTIME,
        `setsid sh -c 'while :; do echo >>${beats}; sleep 0.05; done' >/dev/null 2>&1 </dev/null &`,
      );
      const count = async () => Number(await harness.runInside(RUNTIME, `wc -l <${beats}`).catch(() => '0'));
      await eventually(async () => expect(await count()).toBeGreaterThan(0));
      expect(await driver.suspend(RUNTIME, at(2))).toBe('suspended');
      for (const pid of await harness.pidsOf(RUNTIME)) expect(await isHalted(pid)).toBe(true);
      expect(await driver.resume(RUNTIME, at(2))).toBe(true);
      const then = await count();
      await eventually(async () => expect(await count()).toBeGreaterThan(then));
    });

    test('is neither made nor resumed by an attempt that was superseded', async () => {
      await expect(driver.suspend(RUNTIME, at(1))).rejects.toThrow(StaleEpochError);
      expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'running' });
      expect(await driver.suspend(RUNTIME, at(3))).toBe('suspended');
      await expect(driver.resume(RUNTIME, at(2))).rejects.toThrow(StaleEpochError);
      expect(await suspended()).toBe(true);
    });

    test('can be suspended again by an attempt that does not know of the first one', async () => {
      expect(await harness.openDriver().suspend(RUNTIME, at(4))).toBe('suspended');
      expect(await driver.resume(RUNTIME, at(4))).toBe(true);
      await becomesReady(driver);
    });

    test('whose suspension was cut off is running or suspended, and goes on by a resume', async () => {
      for (const afterMs of [0, 20, 60, 150]) {
        const cut = driver.suspend(RUNTIME, { epoch: 4, signal: AbortSignal.timeout(afterMs) });
        const answer = await cut.catch(() => 'cut off');
        const { status } = await driver.inspect(RUNTIME);
        expect([answer, ['running', 'suspended'].includes(status)]).toEqual([expect.stringMatching(/suspended|cut off/), true]);
        expect(await driver.resume(RUNTIME, at(4))).toBe(status === 'suspended');
        await becomesReady(driver);
      }
    });

    test('that is killed has ended, and cannot be resumed', async () => {
      expect(await driver.suspend(RUNTIME, at(4))).toBe('suspended');
      await harness.killGateway(RUNTIME);
      await eventually(async () => expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'exited' }));
      expect(await driver.exitOf(RUNTIME)).toMatchObject({ at: expect.any(Date) });
      expect(await driver.resume(RUNTIME, at(4))).toBe(false);
      expect(await driver.suspend(RUNTIME, at(4))).toBe('not_running');
    });

    test(
      'is replaced by a start, and ended by a stop and with it all that its agents started',
      async () => {
        await driver.ensureRunning(specOf(driver, ['alpha']), at(5));
        await becomesReady(driver);
        const before = await driver.inspect(RUNTIME);
        expect(await driver.suspend(RUNTIME, at(5))).toBe('suspended');
        await driver.ensureRunning(specOf(driver, ['alpha']), at(6));
        await becomesReady(driver);
        expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'running' });
        expect((await driver.inspect(RUNTIME)).startedAt).not.toEqual(before.startedAt);

        const child = `sleep ${randomInt(100_000, 900_000)}`;
        await harness.runInside(RUNTIME, `setsid ${child} >/dev/null 2>&1 </dev/null &`);
        await eventually(async () => expect(await commandLines()).toContain(child));
        expect(await driver.suspend(RUNTIME, at(6))).toBe('suspended');
        await driver.stop(RUNTIME, { graceMs: LIMIT_MS }, at(7));
        expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'exited' });
        expect(await commandLines()).not.toContain(child);
      },
      LIMIT_MS,
    );

    test(
      'is gone when its runtime is destroyed',
      async () => {
        await driver.ensureRunning(specOf(driver, ['alpha']), at(8));
        await becomesReady(driver);
        expect(await driver.suspend(RUNTIME, at(8))).toBe('suspended');
        await driver.destroy(RUNTIME, at(9));
        expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'absent' });
      },
      LIMIT_MS,
    );
  });
}

/** Stopped by a signal, or frozen with its container, for which the kernel says `D`. */
async function isHalted(pid: number): Promise<boolean> {
  return /\) [TtZD] /.test(await readFile(`/proc/${pid}/stat`, 'utf8'));
}
