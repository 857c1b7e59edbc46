import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import type { ApiClient } from '../support/api-client.ts';
import { prepareCompose } from '../support/compose-under-test.ts';
import type { ComposeUnderTest } from '../support/compose-under-test.ts';
import { docker, TEST_MS, WAIT_MS } from '../support/docker-under-test.ts';
import { eventually } from '../support/eventually.ts';
import { registerAccount } from '../support/register-account.ts';

/** Images may have to be built first. */
jest.setTimeout(2 * TEST_MS);

/** One deployment, in order: each case goes on where the one before ended. */
describe('docker-compose.yml', () => {
  let stack: ComposeUnderTest;
  let account: ApiClient;
  let messages: string;
  let instanceId: string;

  beforeAll(async () => {
    stack = await prepareCompose(['one', 'two']);
  });
  afterAll(() => stack?.close());

  const say = async (message: string): Promise<string> => (await account.ok('POST', messages, { message })).content;
  const bootOf = async (): Promise<string> => (await account.ok('GET', `/instances/${instanceId}`)).startedAt;
  const isHealthy = (service: string) =>
    eventually(async () => {
      const container = await stack.containerOf(service);
      expect((await docker('inspect', '--format', '{{.State.Health.Status}}', container)).trim()).toBe('healthy');
    }, WAIT_MS);
  const hasEnded = async (service: string): Promise<string> => (await docker('wait', await stack.containerOf(service))).trim();

  test('one command brings it up, and a conversation goes through containers alone', async () => {
    await stack.compose({ version: 'one' }, 'up', '--detach', ...['relay', 'api', 'worker', 'worker-version']);
    expect(await hasEnded('worker-version')).toBe('0');
    for (const service of ['api', 'relay', 'worker']) await isHealthy(service);

    account = await registerAccount(stack.url, stack.operator);
    ({ instanceId } = await account.ok('POST', '/instances', { name: 'composed' }));
    await eventually(async () => {
      const shown = await account.ok('GET', `/instances/${instanceId}/wait?status=running&timeout=60`);
      expect(shown).toMatchObject({ status: 'running' });
    }, WAIT_MS);
    const agent = { name: 'helper', slug: 'helper', displayName: 'Helper' };
    const { agentId } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
    messages = `/instances/${instanceId}/agents/${agentId}/messages`;
    expect(await say('Good morning!')).toContain('Good morning!');
  });

  test('the API has neither the socket of the engine nor the folder of the instances, and answers with a log', async () => {
    const api = await stack.containerOf('api');
    const mounts = (await docker('inspect', '--format', '{{range .Mounts}}{{.Destination}} {{end}}', api)).trim().split(' ');
    expect(mounts.filter((mount) => !mount.startsWith('/run/secrets/'))).toEqual([]);
    const look = 'ls -d /var/run/docker.sock /run/docker.sock "$0" 2>/dev/null; id -G';
    expect((await docker('exec', api, 'sh', '-c', look, stack.dataDir)).trim()).toBe('1000');
    const { lines } = await account.ok('GET', `/instances/${instanceId}/logs`);
    expect(lines.length).toBeGreaterThan(0);
  });

  test('no secret is in what the engine shows of a container', async () => {
    for (const service of ['api', 'relay', 'worker', 'set-up', 'worker-version']) {
      const shown = await docker('inspect', await stack.containerOf(service));
      for (const secret of Object.values(stack.secrets).filter((value) => value.length > 10)) expect(shown).not.toContain(secret);
    }
  });

  test('a part that is killed comes back by itself', async () => {
    for (const service of ['api', 'relay', 'worker']) {
      const pid = Number(await docker('inspect', '--format', '{{.State.Pid}}', await stack.containerOf(service)));
      // Of a container that does not run it is 0, which kill() takes for this process and all around it.
      expect(pid).toBeGreaterThan(0);
      process.kill(pid, 'SIGKILL');
      await eventually(async () => {
        const again = Number(await docker('inspect', '--format', '{{.State.Pid}}', await stack.containerOf(service)));
        expect([again > 0, again]).not.toEqual([true, pid]);
        expect(again).toBeGreaterThan(0);
      }, WAIT_MS);
      await isHealthy(service);
    }
    expect(await say('Still there?')).toContain('Still there?');
  });

  test('an upgrade keeps instances running, and the workers of the version before leave when their runs are over', async () => {
    const bootedAt = await bootOf();
    const upgrade = { version: 'two', before: 'one' };
    await stack.compose(
      upgrade,
      '--profile',
      'upgrade',
      'up',
      '--detach',
      ...['relay', 'api', 'worker', 'worker-before', 'worker-version'],
    );
    expect(await hasEnded('worker-version')).toBe('0');
    for (const service of ['api', 'relay', 'worker', 'worker-before']) await isHealthy(service);
    expect(await say('And now?')).toContain('And now?');
    expect(await bootOf()).toBe(bootedAt);

    const versions = () =>
      stack.compose(upgrade, 'run', '--rm', '--no-deps', 'worker-version', 'node', 'scripts/worker-version.ts');
    await eventually(async () => {
      expect(await versions()).toMatch(/-two: \d+ open, current/);
      expect(await versions()).toMatch(/-one: 0 open\n/);
    }, WAIT_MS);
    await stack.compose(upgrade, '--profile', 'upgrade', 'rm', '--stop', '--force', 'worker-before');
    await account.ok('POST', `/instances/${instanceId}/stop`);
    await account.ok('GET', `/instances/${instanceId}/wait?status=stopped&timeout=60`);
  });

  test('a deleted instance is gone', async () => {
    await account.ok('DELETE', `/instances/${instanceId}`);
    await eventually(async () => expect((await account.call('GET', `/instances/${instanceId}`)).status).toBe(404), WAIT_MS);
  });
});
