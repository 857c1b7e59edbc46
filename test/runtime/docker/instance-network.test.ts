import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ensureNetwork, removeNetworks } from '../../../runtime/docker/instance-network.ts';
import { docker, openDocker } from '../../support/docker-under-test.ts';
import type { DockerUnderTest } from '../../support/docker-under-test.ts';

const RUNTIME = 'late';

let installation: DockerUnderTest;

beforeAll(async () => {
  installation = await openDocker();
});

afterAll(async () => {
  const { engine, names } = installation;
  for (const runtimeId of [RUNTIME, 'early']) await removeNetworks(engine, names, runtimeId);
  await installation.close();
});

test("a runtime whose interface would have the name of another one's leaves that one alone, and takes the next name", async () => {
  const { engine, names, settings } = installation;
  const wanted = names.bridgeOf(RUNTIME, new Set());
  const early = names.of('early');
  const options = ['--driver', 'bridge', '--opt', `com.docker.network.bridge.name=${wanted}`];
  const id = (await docker('network', 'create', ...options, early)).trim();
  await ensureNetwork(engine, names, RUNTIME, settings.INSTANCE_SUBNETS);
  const made = await idOf(names.of(RUNTIME));
  await ensureNetwork(engine, names, RUNTIME, settings.INSTANCE_SUBNETS);
  expect([await idOf(early), await idOf(names.of(RUNTIME))]).toEqual([id, made]);
});

const idOf = async (name: string) => (await docker('network', 'inspect', '--format', '{{.Id}}', name)).trim();
