import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { expect } from '@jest/globals';
import { z } from 'zod';
import type { MutationCall, RuntimeDriver, RuntimeSpec } from '../../../runtime/driver.ts';
import { eventually } from '../../support/eventually.ts';
import { MACHINE, openKubernetes, WAIT_MS } from '../../support/kubernetes-under-test.ts';
import type { KubernetesUnderTest } from '../../support/kubernetes-under-test.ts';
import { standInImage } from '../docker/stand-in-images.ts';
import { specOf } from '../docker/stand-ins-under-test.ts';

/** Pods of one installation, with a small program in the gateway's place, which is there at once. */
export interface InstancesUnderTest extends KubernetesUnderTest {
  driver: RuntimeDriver;
  spec(runtimeId: string): RuntimeSpec;
  /** For a change by a newer attempt than all before. */
  call(): MutationCall;
  /** Starts one, waits until it answers, and returns what asks it for the status of an answer. */
  startAnswering(runtimeId: string): Promise<() => Promise<number>>;
}

const answer = z.custom<{ statusCode: number; resume(): void }>();
const ANSWER_MS = 10_000;

export async function openInstances(changes: Parameters<typeof openKubernetes>[0] = {}): Promise<InstancesUnderTest> {
  const kubernetes = await openKubernetes({ INSTANCE_IMAGE: await standInImage(), ...changes });
  const driver = kubernetes.openDriver();
  let epoch = 0;
  const spec = (runtimeId: string) => specOf(driver, runtimeId);
  const call = (): MutationCall => ({ epoch: (epoch += 1), signal: AbortSignal.timeout(WAIT_MS) });
  return {
    ...kubernetes,
    driver,
    spec,
    call,
    async startAnswering(runtimeId) {
      await driver.ensureRunning(spec(runtimeId), call());
      const { httpUrl } = (await driver.endpoint(runtimeId))!;
      const ask = async () => {
        const [response] = await once(request(httpUrl).end(), 'response', { signal: AbortSignal.timeout(ANSWER_MS) });
        const { statusCode } = answer.parse(response);
        answer.parse(response).resume();
        return statusCode;
      };
      await eventually(async () => expect(await ask()).toBe(200));
      return ask;
    },
  };
}

/** Listens on the machine, also as hosts beyond it, which are addresses of the link to the first node. Returns what ends it. */
export async function listenAround(places: readonly { host: string; port: number }[]): Promise<() => Promise<void>> {
  const ip = (...words: string[]) => promisify(execFile)('ip', words);
  const others = [...new Set(places.map(({ host }) => host))].filter((host) => host !== MACHINE);
  for (const host of others) await ip('addr', 'replace', `${host}/32`, 'dev', 'thk1');
  const servers = places.map(({ host, port }) =>
    createServer((socket) => socket.on('error', () => {}).end('here')).listen(port, host),
  );
  await Promise.all(servers.map((server) => once(server, 'listening')));
  return async () => {
    for (const server of servers) server.close();
    for (const host of others) await ip('addr', 'del', `${host}/32`, 'dev', 'thk1').catch(() => {});
  };
}
