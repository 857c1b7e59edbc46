import { execFile } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StaleEpochError } from '../../runtime/driver.ts';
import type { Endpoint, MutationCall, RuntimeDriver, RuntimeSpec } from '../../runtime/driver.ts';
import { deviceOf } from '../../runtime/openclaw/wire/device-identity.ts';
import { connectGateway } from '../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import { GatewayDiedError } from '../../runtime/gateway/gateway-errors.ts';
import { waitUntilReady } from '../../runtime/openclaw/wire/readiness.ts';
import { renderConfig } from '../../runtime/openclaw/install/render-config.ts';
import { expectCopied } from './copied-state.ts';
import { eventually, TEST_LIMIT_MS } from '../support/eventually.ts';

/** What the suite needs to know of one driver. */
export interface DriverHarness {
  /** A new driver object on the same machine, as another process of the control plane has it. */
  openDriver(): RuntimeDriver;
  /** SIGKILL to the gateway itself. */
  killGateway(runtimeId: string): Promise<void>;
  /** Runs a script where agents run theirs, with the state directory as the working directory. */
  runInside(runtimeId: string, script: string): Promise<string>;
  environmentOf(runtimeId: string): Promise<string>;
  close(): Promise<void>;
}

const START_MS = 240_000;
/** Of a test, which is above all its waits, so that what was waited for is said. */
export const LIMIT_MS = 3 * START_MS;
/** Two processes read the clock of one machine this far apart. */
const CLOCK_MS = 20;
const GATEWAY_TOKEN = 'gateway-token-of-the-driver-contract-0000';
const CANARY = 'canary-of-the-control-plane';
export const RUNTIME = 'contract';

interface DriverTraits {
  /** Agents can only read their skills; else they can change them, and the driver mends that. */
  areSkillsMounted: boolean;
  /** Times of exits are rounded down to it. */
  exitStepMs?: number;
}

/** The promises of RuntimeDriver. The cases share few gateway processes, in order: a real one takes long to be ready. */
export function describeDriver(
  name: string,
  { areSkillsMounted, exitStepMs = 0 }: DriverTraits,
  createHarness: () => Promise<DriverHarness>,
): void {
  describe(`${name} driver`, () => {
    let harness: DriverHarness;
    let driver: RuntimeDriver;

    beforeAll(async () => {
      process.env['MASTER_KEYS'] = CANARY;
      harness = await createHarness();
      driver = harness.openDriver();
    }, LIMIT_MS);

    afterAll(async () => {
      delete process.env['MASTER_KEYS'];
      await driver.destroy(RUNTIME, at(1_000));
      await harness.close();
    }, LIMIT_MS);

    test('what never existed is absent, and stopping and destroying it succeeds', async () => {
      expect(await driver.inspect('never')).toEqual({ runtimeId: 'never', status: 'absent', startedAt: null });
      expect(await driver.endpoint('never')).toBeNull();
      expect(await driver.exitOf('never')).toBeNull();
      expect(await driver.activityOf('never')).toBeNull();
      expect(await driver.logs('never', 10)).toEqual([]);
      expect(await driver.fenceOf('never')).toBe(0);
      expect(await driver.suspend('never', at(0))).toMatch(/^(not_running|unsupported)$/);
      expect(await driver.resume('never', at(0))).toBe(false);
      await driver.restore('never', at(0));
      await driver.stop('never', { graceMs: 0 }, at(1));
      await driver.destroy('never', at(1));
      await driver.removePaths('never', ['workspaces'], at(1));
    });

    test(
      'a gateway becomes ready without any agent',
      async () => {
        await driver.ensureRunning(specOf(driver, []), at(1));
        await becomesReady(driver);
        expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'running', startedAt: expect.any(Date) });
      },
      LIMIT_MS,
    );

    test('ensuring it again leaves the one process alone', async () => {
      const before = await driver.inspect(RUNTIME);
      await Promise.all([1, 2, 3].map(() => harness.openDriver().ensureRunning(specOf(driver, []), at(1))));
      expect(await driver.inspect(RUNTIME)).toEqual(before);
    });

    test('the CPU time of a gateway grows with what it does', async () => {
      const before = (await driver.activityOf(RUNTIME))!;
      expect(before).toEqual({ cpuMs: expect.any(Number), isFrozen: false });
      await eventually(async () => {
        await Promise.all(Array.from({ length: 20 }, () => statusOfAgent(driver, 'none')));
        expect((await driver.activityOf(RUNTIME))!.cpuMs).toBeGreaterThan(before.cpuMs + 100);
      });
      expect(await harness.openDriver().activityOf(RUNTIME)).toMatchObject({ isFrozen: false });
    });

    test('another driver object knows the running gateway', async () => {
      const other = harness.openDriver();
      expect(await other.inspect(RUNTIME)).toEqual(await driver.inspect(RUNTIME));
      expect(await other.list()).toContainEqual(await driver.inspect(RUNTIME));
      expect(await other.endpoint(RUNTIME)).toEqual(await driver.endpoint(RUNTIME));
      expect(await other.exitOf(RUNTIME)).toBeNull();
    });

    test('we are let in with every right, at the first meeting and again', async () => {
      for (let meeting = 1; meeting <= 2; meeting += 1) {
        const client = await connectTo((await driver.endpoint(RUNTIME))!);
        expect(await client.request('cron.list', { limit: 10, offset: 0 })).toMatchObject({ jobs: [] });
        await client.request('secrets.store.set', { name: 'A_SECRET', value: 'x', kind: 'env' });
        client.close();
        await client.closed;
      }
    });

    test('nothing of the control plane’s environment is in the gateway', async () => {
      const environment = await harness.environmentOf(RUNTIME);
      expect(environment).toContain('OPENCLAW_STATE_DIR=');
      expect(environment).not.toContain(CANARY);
      expect(environment).not.toContain('MASTER_KEYS');
      expect(environment).not.toContain(GATEWAY_TOKEN);
    });

    test('an agent in a rewritten configuration is live, without a restart', async () => {
      const before = await driver.inspect(RUNTIME);
      expect(await statusOfAgent(driver, 'alpha')).toBe(404);
      await driver.writeConfig(specOf(driver, ['alpha']), at(1));
      await eventually(async () => expect(await statusOfAgent(driver, 'alpha')).toBe(200));
      expect(await driver.inspect(RUNTIME)).toEqual(before);
    });

    test('files are put and removed below the state directory', async () => {
      const workspace = driver.paths(RUNTIME).workspaceOf('alpha');
      const files = new Map([
        ['SOUL.md', Buffer.from('calm')],
        ['notes/a.md', Buffer.from('first')],
      ]);
      await driver.putFiles(RUNTIME, workspace, files, at(1));
      await driver.putFiles(RUNTIME, workspace, new Map([['notes/a.md', Buffer.from('second')]]), at(1));
      const read = () => harness.runInside(RUNTIME, 'cd workspaces/alpha && cat SOUL.md notes/a.md');
      expect(await read()).toBe('calmsecond');

      await driver.removePaths(RUNTIME, [`${workspace}/notes`, 'workspaces/alpha/none', 'none/at/all'], at(1));
      expect(await harness.runInside(RUNTIME, 'cd workspaces/alpha && ls')).not.toContain('notes');
    });

    test('a link that an agent planted is never followed out of its instance', async () => {
      await harness.runInside(
        RUNTIME,
        'mkdir -p tmp/target && echo kept >tmp/target/file && cd workspaces/alpha && ln -s ../../tmp/target trap && ln -s ../../tmp/target/file SWAP.md',
      );
      const target = () => harness.runInside(RUNTIME, 'ls tmp/target && cat tmp/target/file');
      const workspace = driver.paths(RUNTIME).workspaceOf('alpha');

      await expect(driver.putFiles(RUNTIME, workspace, new Map([['trap/new', Buffer.from('x')]]), at(1))).rejects.toThrow('trap');
      await expect(driver.putFiles(RUNTIME, `${workspace}/trap`, new Map([['new', Buffer.from('x')]]), at(1))).rejects.toThrow(
        'trap',
      );
      await expect(driver.removePaths(RUNTIME, ['workspaces/alpha/trap/file'], at(1))).rejects.toThrow('trap');
      await driver.putFiles(RUNTIME, workspace, new Map([['SWAP.md', Buffer.from('mine')]]), at(1));
      await driver.removePaths(RUNTIME, ['workspaces/alpha/trap'], at(1));

      expect(await target()).toBe('file\nkept\n');
      expect(await harness.runInside(RUNTIME, 'cd workspaces/alpha && cat SWAP.md && ls')).toMatch(/^mine(?!.*trap)/s);
    });

    test('skills are replaced as a whole, with what is to be run, and what agents did to them goes', async () => {
      const file = (text: string, executable = false) => ({ content: Buffer.from(text), executable });
      await driver.replaceSkills(
        RUNTIME,
        new Map([
          ['one/SKILL.md', file('first')],
          ['one/scripts/run.sh', file('#!/bin/sh\necho ran', true)],
          ['two/SKILL.md', file('second')],
        ]),
        at(1),
      );
      expect(await harness.runInside(RUNTIME, 'cat skills/one/SKILL.md skills/two/SKILL.md && skills/one/scripts/run.sh')).toBe(
        'firstsecondran\n',
      );
      expect(await harness.runInside(RUNTIME, 'test -x skills/one/SKILL.md || echo plain')).toBe('plain\n');
      const next = new Map([['two/SKILL.md', file('again')]]);
      await driver.replaceSkills(RUNTIME, next, at(1));
      await driver.replaceSkills(RUNTIME, next, at(1));
      expect(await harness.runInside(RUNTIME, 'find skills -type f && cat skills/two/SKILL.md')).toBe(
        'skills/two/SKILL.md\nagain',
      );
      await expect(driver.replaceSkills(RUNTIME, new Map([['../../out', file('x')]]), at(1))).rejects.toThrow('leaves');
      expect(await harness.runInside(RUNTIME, 'cat skills/two/SKILL.md')).toBe('again');
    });

    const whereSkillsLie = areSkillsMounted ? describeMountedSkills : describeSkillsOnDisk;
    whereSkillsLie(() => ({ harness, driver }));

    test('a path out of the instance is refused', async () => {
      const outside = new Map([['../x', Buffer.from('x')]]);
      await expect(driver.putFiles(RUNTIME, 'workspaces/alpha', outside, at(1))).rejects.toThrow('leaves');
      await expect(driver.removePaths(RUNTIME, ['/etc'], at(1))).rejects.toThrow('leaves');
      await expect(driver.removePaths(RUNTIME, ['.'], at(1))).rejects.toThrow('whole');
    });

    test('every change by an attempt that was superseded is refused and harms nothing', async () => {
      const before = await driver.inspect(RUNTIME);
      await driver.ensureRunning(specOf(driver, ['alpha']), at(10));
      const overtaken = [
        driver.ensureRunning(specOf(driver, []), at(9)),
        driver.writeConfig(specOf(driver, []), at(9)),
        driver.stop(RUNTIME, { graceMs: 0 }, at(9)),
        driver.destroy(RUNTIME, at(9)),
        driver.putFiles(RUNTIME, 'workspaces/alpha', new Map([['LATE.md', Buffer.from('x')]]), at(9)),
        driver.removePaths(RUNTIME, ['workspaces/alpha'], at(9)),
        driver.replaceSkills(RUNTIME, new Map([['late/SKILL.md', { content: Buffer.from('x'), executable: false }]]), at(9)),
      ];
      for (const change of overtaken) await expect(change).rejects.toThrow(StaleEpochError);
      expect(await driver.inspect(RUNTIME)).toEqual(before);
      expect(await statusOfAgent(driver, 'alpha')).toBe(200);
      expect(await harness.runInside(RUNTIME, 'ls workspaces/alpha')).not.toContain('LATE');
    });

    test('a gateway that was killed leaves when and how it died, and its output', async () => {
      const killedAt = Date.now();
      await harness.killGateway(RUNTIME);
      await eventually(async () => expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'exited' }));
      const exit = await harness.openDriver().exitOf(RUNTIME);
      expect(exit).toMatchObject({ code: null, signal: 'SIGKILL' });
      expect(exit!.at.getTime()).toBeGreaterThanOrEqual(killedAt - CLOCK_MS - exitStepMs);
      expect(exit!.at.getTime()).toBeLessThanOrEqual(Date.now() + CLOCK_MS);
      expect(await driver.endpoint(RUNTIME)).toBeNull();
      expect((await driver.logs(RUNTIME, 200)).map(({ text }) => text)).toContain('info gateway: gateway ready');
      expect(await driver.logs(RUNTIME, 2)).toHaveLength(2);
    });

    test(
      'it is started again after a death; what is quarantined then has ended and is in no list',
      async () => {
        const since = new Date('2026-01-02T03:04:05.678Z');
        await driver.ensureRunning(specOf(driver, ['alpha']), at(11));
        expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'running' });
        expect(await driver.exitOf(RUNTIME)).toBeNull();
        await expect(driver.quarantine(RUNTIME, { at: since }, at(10))).rejects.toThrow(StaleEpochError);
        await driver.quarantine(RUNTIME, { at: since }, at(12));
        await driver.quarantine(RUNTIME, { at: new Date() }, at(12));
        expect(await driver.inspect(RUNTIME)).toEqual({ runtimeId: RUNTIME, status: 'absent', startedAt: null });
        expect((await driver.list()).map(({ runtimeId }) => runtimeId)).not.toContain(RUNTIME);
        expect(await harness.openDriver().listQuarantined()).toEqual([{ runtimeId: RUNTIME, quarantinedAt: since }]);
        expect(await driver.fenceOf(RUNTIME)).toBe(12);
      },
      LIMIT_MS,
    );

    test(
      'the next start brings back what was quarantined, ready and with the storage of the gateways that were killed',
      async () => {
        await driver.ensureRunning(specOf(driver, ['alpha']), at(13));
        await becomesReady(driver);
        expect(await driver.exitOf(RUNTIME)).toBeNull();
        expect(await statusOfAgent(driver, 'alpha')).toBe(200);
        expect(await harness.runInside(RUNTIME, 'cat workspaces/alpha/SOUL.md')).toBe('calm');
        expect(await driver.listQuarantined()).toEqual([]);
      },
      LIMIT_MS,
    );

    test(
      'stop lets the gateway end by itself, and no child of it stays',
      async () => {
        const child = `sleep ${randomInt(100_000, 900_000)}`;
        await harness.runInside(RUNTIME, `setsid ${child} >/dev/null 2>&1 </dev/null &`);
        await eventually(async () => expect(await commandLines()).toContain(child));
        await driver.stop(RUNTIME, { graceMs: START_MS }, at(14));
        expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'exited' });
        expect(await driver.exitOf(RUNTIME)).toMatchObject({ code: 0, signal: null });
        expect(await commandLines()).not.toContain(child);
        await driver.stop(RUNTIME, { graceMs: START_MS }, at(14));
      },
      LIMIT_MS,
    );

    test(
      'what is stored is copied to another runtime as it is, also after an attempt that was cut off',
      () => expectCopied(driver, RUNTIME),
      LIMIT_MS,
    );

    test('a create by an attempt that was superseded starts nothing', async () => {
      await expect(driver.ensureRunning(specOf(driver, ['alpha']), at(13))).rejects.toThrow(StaleEpochError);
      expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'exited' });
    });

    test(
      'a configuration that the gateway cannot run with shows as exit 78, not worth a retry',
      async () => {
        const spec = { runtimeId: RUNTIME, renderConfig: () => '{"gateway":{"mode":"nonsense"}}' };
        await driver.ensureRunning(spec, at(15));
        const death = await becomesReady(driver).catch((error: unknown) => error);
        expect(death).toBeInstanceOf(GatewayDiedError);
        expect(death).toMatchObject({ retryable: false, exit: { code: 78, signal: null } });
      },
      LIMIT_MS,
    );

    test('destroy removes the storage but not the epoch', async () => {
      await driver.destroy(RUNTIME, at(20));
      await driver.destroy(RUNTIME, at(20));
      expect(await driver.inspect(RUNTIME)).toEqual({ runtimeId: RUNTIME, status: 'absent', startedAt: null });
      expect((await driver.list()).map(({ runtimeId }) => runtimeId)).not.toContain(RUNTIME);
      await expect(harness.openDriver().ensureRunning(specOf(driver, []), at(19))).rejects.toThrow(StaleEpochError);
      expect(await driver.inspect(RUNTIME)).toMatchObject({ status: 'absent' });
    });
  });
}

type Given = () => { harness: DriverHarness; driver: RuntimeDriver };

function describeMountedSkills(given: Given): void {
  test('an agent cannot change, move or replace its skills', async () => {
    const { harness } = given();
    for (const change of ['rm -rf skills', 'mv skills away', 'touch skills/mine', 'ln -sfn tmp skills/two'])
      await expect(harness.runInside(RUNTIME, change)).rejects.toThrow(/Read-only|busy/);
    expect(await harness.runInside(RUNTIME, 'cat skills/two/SKILL.md')).toBe('again');
  });
}

function describeSkillsOnDisk(given: Given): void {
  test('a link in the place of the skills is replaced and never followed', async () => {
    const { harness, driver } = given();
    await harness.runInside(RUNTIME, 'mkdir -p tmp/mine && echo kept >tmp/mine/file && rm -rf skills && ln -s tmp/mine skills');
    await driver.replaceSkills(RUNTIME, new Map([['one/SKILL.md', { content: Buffer.from('x'), executable: false }]]), at(1));
    expect(await harness.runInside(RUNTIME, 'cat tmp/mine/file && ls tmp/mine && ls skills')).toBe('kept\nfile\none\n');
    await driver.replaceSkills(RUNTIME, new Map(), at(1));
    expect(await harness.runInside(RUNTIME, 'ls skills')).toBe('');
  });
}

export function at(epoch: number): MutationCall {
  return { epoch, signal: AbortSignal.timeout(TEST_LIMIT_MS) };
}

export function specOf(driver: RuntimeDriver, agents: readonly string[]): RuntimeSpec {
  const content = {
    gatewayToken: GATEWAY_TOKEN,
    relayUrl: driver.relayUrl(),
    paths: driver.paths(RUNTIME),
    turnTimeoutSeconds: 600,
    agents: agents.map((gatewayAgentId) => ({
      gatewayAgentId,
      model: { id: 'moonshotai.kimi-k2.5', contextWindow: 256_000, maxTokens: 8_192 },
      relayToken: `relay-token-of-${gatewayAgentId}`,
    })),
  };
  return { runtimeId: RUNTIME, renderConfig: (placement) => renderConfig(content, placement) };
}

function connectTo({ wsUrl, peer }: Endpoint): Promise<GatewayClient> {
  const device = peer === 'remote' ? deviceOf({ id: 'k1', key: Buffer.alloc(32, 7) }, RUNTIME) : undefined;
  return connectGateway({ wsUrl, token: GATEWAY_TOKEN, device, signal: AbortSignal.timeout(START_MS), timeoutMs: START_MS });
}

export async function becomesReady(driver: RuntimeDriver): Promise<void> {
  const endpoint = await driver.endpoint(RUNTIME);
  if (!endpoint) throw new GatewayDiedError(await driver.exitOf(RUNTIME));
  await waitUntilReady(endpoint, {
    signal: AbortSignal.timeout(TEST_LIMIT_MS),
    deadlineMs: TEST_LIMIT_MS,
    isAlive: async () => (await driver.inspect(RUNTIME)).status === 'running',
    exitOf: () => driver.exitOf(RUNTIME),
  });
}

export async function statusOfAgent(driver: RuntimeDriver, agentId: string): Promise<number> {
  const endpoint = await driver.endpoint(RUNTIME);
  const response = await fetch(`${endpoint!.httpUrl}/v1/models/openclaw%2F${agentId}`, {
    headers: { authorization: `Bearer ${GATEWAY_TOKEN}` },
  });
  await response.body?.cancel();
  return response.status;
}

export async function commandLines(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-e', '-o', 'args='], { maxBuffer: 16 * 1024 ** 2 });
  return stdout.split('\n').map((line) => line.trim());
}
