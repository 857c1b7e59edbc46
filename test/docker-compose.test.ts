import { execFile } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { z } from 'zod';
import { devServerArguments } from '../local/temporal/temporal-arguments.ts';
import { TEMPORAL_SERVER_VERSION } from '../local/temporal/temporal-server.ts';
import { GIVES_WAY } from '../runtime/docker/container-profile.ts';
import { runCompose } from './support/docker-compose.ts';

const ROOT = join(import.meta.dirname, '..');
const ONCE = ['temporal-schema', 'set-up', 'worker-version'];
const OURS = ['set-up', 'api', 'worker', 'worker-before', 'relay', 'worker-version'];
/** Its image has nothing to ask with. */
const UNCHECKED = ['temporal-ui'];

const service = z.looseObject({
  image: z.string(),
  environment: z.record(z.string(), z.string().nullable()).default({}),
  ports: z.array(z.looseObject({ host_ip: z.string().optional(), published: z.string() })).default([]),
  network_mode: z.string().optional(),
  cap_drop: z.array(z.string()).default([]),
  cap_add: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  group_add: z.array(z.string()).default([]),
  restart: z.string(),
  oom_score_adj: z.number().default(0),
  cpu_shares: z.number().default(1024),
  healthcheck: z.looseObject({ test: z.array(z.string()) }).optional(),
  depends_on: z.record(z.string(), z.looseObject({ condition: z.string() })).default({}),
  deploy: z.looseObject({ resources: z.looseObject({ limits: z.looseObject({ memory: z.string() }) }) }).optional(),
  secrets: z.array(z.looseObject({ source: z.string() })).default([]),
  volumes: z.array(z.looseObject({ source: z.string(), target: z.string(), read_only: z.boolean().default(false) })).default([]),
});
const rendered = z.looseObject({ services: z.record(z.string(), service) });

/** What `docker compose config` makes of the file. */
async function render(env: Record<string, string>, ...options: string[]): Promise<Record<string, z.infer<typeof service>>> {
  const words = ['-f', join(ROOT, 'docker-compose.yml'), '--env-file', '/dev/null', ...options, 'config', '--format', 'json'];
  const own = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
  return rendered.parse(JSON.parse(await runCompose(words, { env: { ...own, ...env }, cwd: ROOT }))).services;
}

describe('docker compose config', () => {
  let services: Record<string, z.infer<typeof service>>;
  let entries: [string, z.infer<typeof service>][];

  beforeAll(async () => {
    const env = { VERSION: '2', VERSION_BEFORE: '1', DATA_DIR: '/var/lib/thermidora', DOCKER_GID: '999' };
    services = await render(env, '--profile', 'upgrade');
    entries = Object.entries(services);
  });

  test('takes the file, and says what is missing in one that was not prepared', async () => {
    expect(Object.keys(services).toSorted()).toEqual(
      ['postgres', 'temporal', 'temporal-schema', 'temporal-ui', ...OURS].toSorted(),
    );
    await expect(render({})).rejects.toThrow('run deploy/prepare.sh');
  });

  test('publishes the API alone; all else is on the loopback address', () => {
    for (const [name, { ports, environment }] of entries) {
      for (const { host_ip: address } of ports) expect([name, address]).toEqual([name, '127.0.0.1']);
      expect([name, environment['HOST'] ?? 'unset']).toEqual([name, name === 'api' ? '0.0.0.0' : 'unset']);
      expect(environment).not.toHaveProperty('METRICS_HOST');
    }
  });

  test('gives every service a limit and a restart, and every one that stays a health check', () => {
    for (const [name, { deploy, restart }] of entries) {
      expect([name, deploy?.resources.limits.memory]).toEqual([name, expect.stringMatching(/^\d+$/)]);
      expect([name, restart]).toEqual([name, ONCE.includes(name) ? 'on-failure:5' : 'unless-stopped']);
    }
    const unchecked = entries.filter(([, { healthcheck }]) => healthcheck === undefined).map(([name]) => name);
    expect(unchecked.toSorted()).toEqual([...ONCE, ...UNCHECKED].toSorted());
  });

  test('gives memory and CPU time to every service before any instance', () => {
    for (const [name, { oom_score_adj: score, cpu_shares: shares }] of entries) {
      expect([name, score]).toEqual([name, 0]);
      expect(score).toBeLessThan(GIVES_WAY.OomScoreAdj);
      expect([name, shares > 1024 && shares > GIVES_WAY.CpuShares]).toEqual([name, true]);
    }
  });

  test('starts each one when what it needs is healthy or done', () => {
    for (const [name, { depends_on: needs }] of entries)
      for (const [need, { condition }] of Object.entries(needs))
        expect([name, need, condition]).toEqual([
          name,
          need,
          ONCE.includes(need) ? 'service_completed_successfully' : 'service_healthy',
        ]);
    for (const name of ['api', 'worker', 'relay']) expect(services[name]?.depends_on).toHaveProperty('set-up');
    expect(services['temporal']?.depends_on).toHaveProperty('temporal-schema');
  });

  test('puts no secret into an environment', () => {
    const secrets = entries.flatMap(([name, { environment }]) =>
      Object.entries(environment)
        .filter(([setting]) => /(PASSWORD|PWD|KEYS?|TOKEN|_URL)(_FILE)?$/.test(setting))
        .map(([setting, value]) => ({ name, setting, value })),
    );
    expect(secrets.length).toBeGreaterThan(15);
    for (const secret of secrets.filter(({ setting, value }) => value !== 'print:' && setting !== 'TEMPORAL_UI_URL'))
      expect(secret).toMatchObject({
        setting: expect.stringMatching(/_FILE$/),
        value: expect.stringMatching(/^\/run\/secrets\//),
      });
  });

  test('gives each part the secrets that it reads, and no other', () => {
    const secretsOf = (name: string) => services[name]?.secrets.map(({ source }) => source).toSorted();
    const owner = ['database-url', 'database-url-api', 'database-url-relay', 'database-url-worker', 'master-keys'];
    expect(Object.fromEntries(OURS.map((name) => [name, secretsOf(name)]))).toEqual({
      'set-up': owner,
      api: ['database-url-api', 'master-keys', 'operator-token', 'smtp-url'],
      worker: ['database-url-worker', 'master-keys'],
      'worker-before': ['database-url-worker', 'master-keys'],
      relay: ['database-url-relay', 'model-upstream-key', 'relay-keys'],
      'worker-version': [],
    });
  });

  test('gives the keys of providers to the relay alone, which cannot write them', () => {
    const seeing = entries.filter(([, { volumes }]) => volumes.some(({ target }) => target === '/run/providers'));
    expect(seeing.map(([name]) => name)).toEqual(['relay']);
    expect(services['relay']?.volumes).toMatchObject([{ target: '/run/providers', read_only: true }]);
  });

  test('gives no service a capability or a way to new privileges, but for PostgreSQL what its image needs to become its own user', () => {
    const ofPostgres = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID'];
    for (const [name, { cap_drop: dropped, cap_add: added, security_opt: options }] of entries)
      expect([name, dropped, added.toSorted(), options]).toEqual([
        name,
        ['ALL'],
        name === 'postgres' ? ofPostgres : [],
        ['no-new-privileges:true'],
      ]);
  });

  test('hardens what is ours: no capability, nothing to write to but its folders, no new privileges', () => {
    for (const name of OURS)
      expect(services[name]).toMatchObject({
        cap_drop: ['ALL'],
        read_only: true,
        security_opt: ['no-new-privileges:true'],
        pull_policy: 'never',
      });
  });

  test('only the workers reach the engine, the API has no folder of the server, and the relay none but that of its keys', () => {
    const reaching = entries.filter(
      ([, { volumes, group_add: groups }]) => groups.length > 0 || volumes.some(({ source }) => source.includes('docker.sock')),
    );
    expect(reaching.map(([name]) => name).toSorted()).toEqual(['worker', 'worker-before']);
    expect(services['api']?.volumes).toEqual([]);
    expect(services['relay']?.volumes.map(({ target }) => target)).toEqual(['/run/providers']);
  });

  test('keeps the workers of the version before out unless they are asked for, and apart from the new ones', async () => {
    const env = { VERSION: '2', DATA_DIR: '/var/lib/thermidora', DOCKER_GID: '999' };
    expect(Object.keys(await render(env))).not.toContain('worker-before');
    expect(services['worker']?.environment).toMatchObject({ WORKER_BUILD_ID: '2' });
    expect(services['worker-before']).toMatchObject({ image: 'thermidora:1', environment: { WORKER_BUILD_ID: '1' } });
    expect(services['worker-before']?.environment['METRICS_PORT']).not.toBe(services['worker']?.environment['METRICS_PORT']);
  });

  test('runs the Temporal that the tests run against', () => {
    expect(services['temporal']?.image).toBe(`temporalio/server:${TEMPORAL_SERVER_VERSION}`);
    expect(services['temporal-schema']?.image).toBe(`temporalio/admin-tools:${TEMPORAL_SERVER_VERSION}`);
  });
});

test('Temporal has the same settings with Compose as with npm start', async () => {
  const deployed = z
    .record(z.string(), z.tuple([z.strictObject({ value: z.union([z.number(), z.boolean()]) })]))
    .parse(parse(await readFile(join(ROOT, 'deploy/temporal-dynamic-config.yaml'), 'utf8')));
  const words = devServerArguments({ port: 1, databaseFile: '' });
  const local = words.filter((_, index) => words[index - 1] === '--dynamic-config-value');
  expect(Object.entries(deployed).map(([name, [{ value }]]) => `${name}=${value}`)).toEqual(local);
});

test('the scripts of deploy/ are shell scripts', async () => {
  for (const name of (await readdir(join(ROOT, 'deploy'))).filter((file) => file.endsWith('.sh'))) {
    expect([name, await readFile(join(ROOT, 'deploy', name), 'utf8')]).toEqual([name, expect.stringMatching(/^#!\/bin\/sh\n/)]);
    await promisify(execFile)('/bin/sh', ['-n', join(ROOT, 'deploy', name)]);
  }
});
