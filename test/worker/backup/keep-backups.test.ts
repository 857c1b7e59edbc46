import { execFile } from 'node:child_process';
import { mkdir, readFile, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { readDump } from '../../../database/dump/read-dump.ts';
import { registerBackupMetrics } from '../../../worker/backup/backup-metrics.ts';
import { keepBackups } from '../../../worker/backup/keep-backups.ts';
import type { Backups } from '../../../worker/backup/keep-backups.ts';
import { newInstance } from '../../factories.ts';
import { temporaryDir } from '../../local/temporary-dir.ts';
import { eventually, PATIENCE_MS } from '../../support/eventually.ts';
import { asRole, createEmptyDatabase, openTestOrm } from '../../support/test-database.ts';
import type { TestOrm } from '../../support/test-database.ts';

const ROOT = join(import.meta.dirname, '../../..');
const INSTALLATION = 'ins_test';
const HOUR_MS = 3_600_000;
const LOOK_MS = 20;

const dir = temporaryDir();
let database: TestOrm;
let folder: string;
let nowMs: number;
let running: Backups[] = [];
let count = 0;

beforeAll(async () => {
  database = await openTestOrm();
  await database.orm.em.fork().execute(`update installation set id = ?`, [INSTALLATION], 'run');
  await newInstance(database.orm, { name: 'backed up \u2028 twice' });
});
afterAll(() => database.close());
beforeEach(async () => {
  count += 1;
  folder = dir.path(`backups-${count}`);
  await mkdir(folder, { recursive: true });
  nowMs = Date.parse('2026-11-30T20:00:00.000Z');
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((backups) => backups.stop()));
});

function keep(changes: { BACKUP_DIR?: string; BACKUP_KEEP?: number; BACKUP_DATABASE_URL?: string } = {}): Backups {
  const config = { BACKUP_DIR: folder, BACKUP_KEEP: 3, BACKUP_EVERY_HOURS: 24, BACKUP_DATABASE_URL: undefined, ...changes };
  const backups = keepBackups(
    {
      config: { ...config, DATABASE_URL: database.url },
      installationId: INSTALLATION,
      clock: () => new Date(nowMs),
      log: pino({ level: 'silent' }),
    },
    LOOK_MS,
  );
  running.push(backups);
  return backups;
}

const files = async () => (await readdir(folder)).toSorted();
const name = (moment: string, installation = INSTALLATION) => `thermidora-${installation}-${moment}.backup.gz`;

test('a backup is made at once and whenever the newest is too old; the oldest beyond BACKUP_KEEP go, and no other file', async () => {
  const others = [
    name('20200101T000000Z', 'ins_other'),
    `thermidora-${INSTALLATION}-notes.txt`,
    `${name('20200101T000000Z')}.copy`,
    'data.tgz',
  ];
  for (const other of others) await writeFile(join(folder, other), 'of somebody else');
  const backups = keep();
  const kept: string[] = [];
  for (const moment of ['20261130T200000Z', '20261201T200000Z', '20261202T200000Z', '20261203T200000Z']) {
    kept.push(name(moment));
    await eventually(async () => expect(await files()).toEqual([...others, ...kept.slice(-3)].toSorted()));
    await eventually(() => expect(backups.state()).toEqual({ lastAt: new Date(nowMs), failures: 0, isLate: false }));
    nowMs += 23 * HOUR_MS;
    await new Promise((resolve) => setImmediate(resolve));
    expect(await files()).toEqual([...others, ...kept.slice(-3)].toSorted());
    nowMs += HOUR_MS;
  }
  expect((await stat(join(folder, kept[3] ?? ''))).mode & 0o777).toBe(0o600);
});

test('a backup fills an empty database by npm run backup:restore, and nothing else does', async () => {
  keep();
  await eventually(async () => expect(await files()).toEqual([name('20261130T200000Z')]));
  const file = join(folder, name('20261130T200000Z'));
  const restore = (backup: string, url: string) =>
    promisify(execFile)(process.execPath, [join(ROOT, 'scripts/backup-restore.ts'), backup], {
      cwd: ROOT,
      env: { ...process.env, NODE_OPTIONS: '', DATA_DIR: join(folder, 'data'), DATABASE_URL: url },
    });
  const url = (await createEmptyDatabase()).href;
  const half = join(folder, 'half.gz');
  await writeFile(half, (await readFile(file)).subarray(0, 2_000));
  await expect(restore(half, url)).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('incomplete or damaged') });
  expect((await restore(file, url)).stdout).toMatch(/^The database has all \d+ rows of the backup\.\n$/);
  await expect(restore(file, database.url)).rejects.toMatchObject({
    stderr: expect.stringContaining('Restore into an empty one'),
  });
  const dump = async (of: string) => {
    const lines: string[] = [];
    for await (const line of readDump(of, { now: new Date(), signal: AbortSignal.timeout(PATIENCE_MS) })) lines.push(line);
    return lines.slice(1);
  };
  expect(await dump(url)).toEqual(await dump(database.url));
});

test('a backup that fails leaves nothing, is told by state and metrics, and is tried again', async () => {
  const nowhere = new URL(database.url);
  nowhere.pathname = '/not_there';
  const backups = keep({ BACKUP_DATABASE_URL: nowhere.href });
  const registry = new Registry();
  registerBackupMetrics(registry, backups);
  await eventually(() => expect(backups.state()).toMatchObject({ lastAt: null, isLate: true }));
  await eventually(() => expect(backups.state()?.failures).toBeGreaterThan(1));
  expect(await registry.metrics()).toContain('thermidora_backup_late 1\n');
  expect(await registry.metrics()).toContain('thermidora_backup_last_timestamp_seconds 0\n');
  expect(await files()).toEqual([]);
  await backups.stop();
  const lesser = keep({ BACKUP_DATABASE_URL: asRole(database.url, 'worker') });
  await eventually(() => expect(lesser.state()).toMatchObject({ lastAt: null, isLate: true }));
  await lesser.stop();
  const gone = keep({ BACKUP_DIR: join(folder, 'not-mounted') });
  await eventually(() => expect(gone.state()?.isLate).toBe(true));
  expect(await files()).toEqual([]);
});

test('what a process that died left incomplete is removed, and never counts as a backup', async () => {
  await writeFile(join(folder, `${name('20261130T195959Z')}.part`), 'half of it');
  keep();
  await eventually(async () => expect(await files()).toEqual([name('20261130T200000Z')]));
});

test('of two workers one makes the backup', async () => {
  const [one, other] = [keep(), keep()];
  await eventually(() => expect([one.state()?.lastAt, other.state()?.lastAt]).toEqual([new Date(nowMs), new Date(nowMs)]));
  expect([one.state()?.failures, other.state()?.failures, await files()]).toEqual([0, 0, [name('20261130T200000Z')]]);
});

test('a backup that is late without a failure is told, and without BACKUP_DIR there is none to tell of', async () => {
  await writeFile(join(folder, name('20261128T190000Z')), '');
  const backups = keepBackups(
    {
      config: {
        ...{ BACKUP_DIR: folder, BACKUP_KEEP: 3, BACKUP_EVERY_HOURS: 24, BACKUP_DATABASE_URL: undefined },
        DATABASE_URL: database.url,
      },
      installationId: INSTALLATION,
      clock: () => new Date(nowMs),
      log: pino({ level: 'silent' }),
    },
    24 * HOUR_MS,
  );
  running.push(backups);
  nowMs += 49 * HOUR_MS;
  expect(backups.state()?.isLate).toBe(true);
  const none = keepBackups(
    {
      config: {
        ...{ BACKUP_DIR: undefined, BACKUP_KEEP: 3, BACKUP_EVERY_HOURS: 24, BACKUP_DATABASE_URL: undefined },
        DATABASE_URL: database.url,
      },
      installationId: INSTALLATION,
      clock: () => new Date(nowMs),
      log: pino({ level: 'silent' }),
    },
    LOOK_MS,
  );
  const registry = new Registry();
  registerBackupMetrics(registry, none);
  expect([none.state(), await registry.metrics()]).toEqual([null, expect.stringContaining('thermidora_backup_late 0\n')]);
});
