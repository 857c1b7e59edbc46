import { randomBytes } from 'node:crypto';
import { chown, mkdir, mkdtemp, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Engine } from '../../runtime/docker/engine.ts';
import { namesOf } from '../../runtime/docker/names.ts';
import { removeWalls } from '../../runtime/docker/walls.ts';
import { relayKeys } from '../../runtime/openclaw/install/tokens.ts';
import { freePort } from '../../runtime/host/free-port.ts';
import { createApiClient } from './api-client.ts';
import type { ApiClient } from './api-client.ts';
import { runCompose } from './docker-compose.ts';
import { docker, ENGINE_SOCKET, WAIT_MS } from './docker-under-test.ts';
import { createOwnedDatabase, roleUrlOf } from './owned-database.ts';
import { npmRun } from './npm-run.ts';
import { startOwnTemporal } from './own-temporal.ts';
import { removeFolder } from './remove-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const OURS = ['set-up', 'relay', 'api', 'worker', 'worker-before', 'worker-version'];
/** They stay, and say whether they are well. */
const CHECKED = ['relay', 'api', 'worker', 'worker-before'];
/** Apart from the networks of other installations on this engine. */
const SUBNETS = '10.207.16.0/20';

/** docker-compose.yml with our own images; PostgreSQL and the Temporal server run beside it, because no registry has theirs. */
export interface ComposeUnderTest {
  url: string;
  dataDir: string;
  operator: ApiClient;
  secrets: Record<string, string>;
  /** Runs `docker compose` for these versions of our image, which are all of the same sources. */
  compose(versions: { version: string; before?: string }, ...words: string[]): Promise<string>;
  /** The container of a service. */
  containerOf(service: string): Promise<string>;
  close(): Promise<void>;
}

/** Builds what is missing and starts PostgreSQL and Temporal. Nothing of ours runs yet. */
export async function prepareCompose(versions: readonly string[]): Promise<ComposeUnderTest> {
  const project = `thermidora-${randomBytes(4).toString('hex')}`;
  const directory = await mkdtemp(join(tmpdir(), 'compose-under-test-'));
  const dataDir = join(directory, 'data');
  await mkdir(dataDir);
  await chown(dataDir, 1000, 1000);
  const imageOf = (version: string) => `${project}-${version}`;
  await npmRun('image:build');
  const [first = '', ...others] = versions.map(imageOf);
  await npmRun('image:app', [first]);
  for (const other of others) await docker('tag', `thermidora:${first}`, `thermidora:${other}`);

  const ports = {
    api: await freePort(null),
    relay: await freePort(null),
    metrics: await freePort(null),
    before: await freePort(null),
  };
  const [database, masterKey] = [await createOwnedDatabase(), randomBytes(32)];
  const secrets = {
    'database-url': database.toString(),
    'database-url-api': roleUrlOf(database, 'api'),
    'database-url-worker': roleUrlOf(database, 'worker'),
    'database-url-relay': roleUrlOf(database, 'relay'),
    'master-keys': `k1:${masterKey.toString('base64')}`,
    'relay-keys': relayKeys([{ id: 'k1', key: masterKey }])
      .map(({ id, key }) => `${id}:${key.toString('base64')}`)
      .join(','),
    'operator-token': `op_${randomBytes(32).toString('hex')}`,
    'smtp-url': 'print:',
    'model-upstream-key': '',
  };
  const override = join(directory, 'override.yml');
  await mkdir(join(directory, 'secrets'), { mode: 0o700 });
  for (const [name, value] of Object.entries(secrets))
    await writeFile(join(directory, 'secrets', name), `${value}\n`, { mode: 0o444 });
  await writeFile(override, overrideOf({ secretsDir: join(directory, 'secrets'), names: Object.keys(secrets), ports }));
  const temporal = await startOwnTemporal({ waitMs: WAIT_MS });

  const compose: ComposeUnderTest['compose'] = async ({ version, before }, ...words) => {
    const files = ['-f', join(ROOT, 'docker-compose.yml'), '-f', override, '--env-file', '/dev/null', '--project-name', project];
    const env = {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      DOCKER_HOST: `unix://${ENGINE_SOCKET}`,
      VERSION: imageOf(version),
      ...(before === undefined ? {} : { VERSION_BEFORE: imageOf(before) }),
      DATA_DIR: dataDir,
      DOCKER_GID: String((await stat(ENGINE_SOCKET)).gid),
      TEMPORAL_ADDRESS: `127.0.0.1:${temporal.port}`,
      HOST: '127.0.0.1',
      METRICS_PORT_BEFORE: String(ports.before),
    };
    return runCompose([...files, ...words], { env, cwd: ROOT });
  };
  const url = `http://127.0.0.1:${ports.api}`;
  return {
    url,
    dataDir,
    operator: createApiClient(url, { authorization: `Bearer ${secrets['operator-token']}` }),
    secrets,
    compose,
    async containerOf(service) {
      const filters = [`com.docker.compose.project=${project}`, `com.docker.compose.service=${service}`];
      return (await docker('ps', '--all', '--quiet', ...filters.flatMap((label) => ['--filter', `label=${label}`]))).trim();
    },
    async close() {
      await compose({ version: versions[0] ?? '' }, '--profile', 'upgrade', 'down', '--volumes', '--timeout', '20');
      const engine = new Engine(ENGINE_SOCKET);
      await removeWalls(engine, namesOf(dataDir));
      await temporal.end();
      for (const version of versions) await docker('rmi', '--no-prune', `thermidora:${imageOf(version)}`);
      await removeFolder(directory);
    },
  };
}

interface Override {
  secretsDir: string;
  names: string[];
  ports: { api: number; relay: number; metrics: number; before: number };
}

/** Asked often, so that no test waits for the next time, and patiently, because a busy machine answers late. */
const HEALTH = '{ interval: 2s, timeout: 60s, retries: 10 }';

/** What differs here: no PostgreSQL and no Temporal to wait for, ports that nobody has, secrets of this test. */
function overrideOf({ secretsDir, names, ports }: Override): string {
  const settings = `PORT: '${ports.api}', RELAY_PORT: '${ports.relay}', INSTANCE_SUBNETS: '${SUBNETS}', INSTANCE_DISK_MB: '256'`;
  const services = OURS.map((name) => {
    const metrics = name === 'worker-before' ? '' : `, METRICS_PORT: '${ports.metrics}'`;
    const needs = name === 'set-up' ? '\n    depends_on: !reset {}' : '';
    const health = CHECKED.includes(name) ? `\n    healthcheck: ${HEALTH}` : '';
    return `  ${name}:\n    env_file: !reset []\n    environment: { ${settings}${metrics} }${needs}${health}\n`;
  });
  const secrets = names.map((name) => `  ${name}: { file: '${join(secretsDir, name)}' }\n`);
  return `services:\n${services.join('')}secrets:\n${secrets.join('')}`;
}
