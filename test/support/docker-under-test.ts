import { execFile } from 'node:child_process';
import { connect } from 'node:net';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { settingsSchema } from '../../lib/settings/config.ts';
import { createDriver } from '../../runtime/create-driver.ts';
import type { DriverSettings } from '../../runtime/create-driver.ts';
import { Engine } from '../../runtime/docker/engine.ts';
import { STATE_DIR } from '../../runtime/docker/in-container.ts';
import { INSTALLATION_LABEL, namesOf } from '../../runtime/docker/names.ts';
import type { Names } from '../../runtime/docker/names.ts';
import { removeWalls } from '../../runtime/docker/walls.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { removeFolder } from './remove-folder.ts';

export const ENGINE_SOCKET = process.env['DOCKER_SOCKET'] ?? '/var/run/docker.sock';

/** A machine without an engine leaves out what needs one (test/support/prepare-tests.ts); the one that gives the verdict may not. */
export const hasEngine = process.env['CI'] !== undefined || (await answers(ENGINE_SOCKET));

/** Only an engine that our own script has started is killed. */
export const hasOwnEngine = hasEngine && (await isOwnEngine());

/** What one wait for the engine or a container gets. Only a test that fails takes so long. */
export const WAIT_MS = 180_000;
/** The limit of a test and of a hook, which is above all their waits, so that what was waited for is said. */
export const TEST_MS = 900_000;

/** One installation on the real engine, which nothing is left of afterwards. */
export interface DockerUnderTest {
  engine: Engine;
  names: Names;
  settings: DriverSettings & { RUNTIME: 'docker' };
  openDriver(changes?: Partial<DriverSettings>): RuntimeDriver;
  /** Runs a script in the container of a runtime, as its agents would. */
  runInside(runtimeId: string, script: string): Promise<string>;
  close(): Promise<void>;
}

/** The address of the machine on its own bridge, where a relay listens. */
export const RELAY_HOST = '172.17.0.1';

export async function openDocker(
  changes: Partial<Omit<DriverSettings & { RUNTIME: 'docker' }, 'RUNTIME'>> = {},
): Promise<DockerUnderTest> {
  const dataDir = await mkdtemp(join(tmpdir(), 'docker-driver-'));
  const defaults = settingsSchema
    .pick({
      DOCKER_SOCKET: true,
      EGRESS: true,
      EGRESS_MAIL: true,
      INSTANCE_CONNECTIONS: true,
      INSTANCE_RUNTIME: true,
      INSTANCE_FIRST_UID: true,
      INSTANCE_CONNECTIONS_PER_SECOND: true,
      INSTANCE_DISK_MB: true,
      INSTANCE_IMAGE: true,
      INSTANCE_MEMORY_MB: true,
      INSTANCE_CPUS: true,
      INSTANCE_PIDS: true,
      INSTANCE_SUBNETS: true,
      INSTANCE_DNS: true,
    })
    .parse({ DOCKER_SOCKET: ENGINE_SOCKET });
  const settings = { ...defaults, RUNTIME: 'docker', DATA_DIR: dataDir, RELAY_HOST, RELAY_PORT: 9, ...changes } as const;
  const engine = new Engine(ENGINE_SOCKET);
  const names = namesOf(settings.DATA_DIR);
  return {
    engine,
    names,
    settings,
    openDriver: (more = {}) => createDriver({ ...settings, ...more, RUNTIME: 'docker' }, null),
    runInside: (runtimeId, script) => docker('exec', '--workdir', STATE_DIR, names.of(runtimeId), 'sh', '-c', script),
    async close() {
      const driver = createDriver(settings, null);
      for (const { runtimeId } of await driver.list())
        await driver.destroy(runtimeId, { epoch: Number.MAX_SAFE_INTEGER, signal: AbortSignal.timeout(WAIT_MS) });
      await removeWalls(engine, names);
      await removeFolder(dataDir);
    },
  };
}

/** What Docker's own command prints. */
export async function docker(...words: string[]): Promise<string> {
  const env = { ...process.env, DOCKER_HOST: `unix://${ENGINE_SOCKET}` };
  return (await promisify(execFile)('docker', words, { env, maxBuffer: 64 * 1024 ** 2 })).stdout;
}

/** Kills the engine that our script has started, and nothing else; or starts it again. */
export async function ownEngine(what: 'crash' | 'start'): Promise<void> {
  await promisify(execFile)(join(import.meta.dirname, '../../scripts/docker-engine.sh'), [what]);
}

/** What the engine still has of this installation, but for the walls. */
export async function remnants(names: Names): Promise<string[]> {
  const filter = ['--filter', `label=${INSTALLATION_LABEL}=${names.installation}`];
  const lists = await Promise.all([
    docker('ps', '--all', ...filter, '--format', '{{.Names}}'),
    docker('volume', 'ls', ...filter, '--format', '{{.Name}}'),
    docker('network', 'ls', ...filter, '--format', '{{.Name}}'),
  ]);
  return lists.flatMap((list) => list.split('\n')).filter((name) => name !== '' && name !== names.walls);
}

async function isOwnEngine(): Promise<boolean> {
  const pid = await readFile('/var/run/thermidora-docker.pid', 'utf8').catch(() => null);
  if (pid === null) return false;
  return (await readFile(`/proc/${pid.trim()}/comm`, 'utf8').catch(() => '')).trim() === 'dockerd';
}

function answers(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(socketPath, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
