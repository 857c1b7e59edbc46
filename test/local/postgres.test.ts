import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chmod, mkdir, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from 'pg';
import { startPostgres, stopPostgres } from '../../local/postgres/postgres.ts';
import { killPid, runs } from '../../runtime/host/process-identity.ts';
import { eventually } from '../support/eventually.ts';
import { removeFolder } from '../support/remove-folder.ts';

let home: string;
let dataDir: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'postgres-'));
  await chmod(home, 0o755);
  dataDir = join(home, 'postgres');
});

afterEach(async () => {
  await stopPostgres(dataDir);
  await removeFolder(home);
});

describe('startPostgres', () => {
  test('keeps data, port and password from one start to the next', async () => {
    const first = await start();
    await query(first.url, 'create table kept as select 7 as it');
    await first.stop();
    await expect(query(first.url, 'select 1')).rejects.toThrow(/ECONNREFUSED/);
    const second = await start();
    expect(second.url).toBe(first.url);
    expect(await query(second.url, 'select it from kept')).toEqual([{ it: 7 }]);
  });

  test('is durable and reachable on the loopback address alone, with a password that only its owner reads', async () => {
    const { url } = await startPostgres({ dataDir, durable: true });
    const settings = ['fsync', 'listen_addresses', 'unix_socket_directories', 'timezone'];
    const values = settings.map((name) => `current_setting('${name}') as ${name}`).join();
    const expected = { fsync: 'on', listen_addresses: '127.0.0.1', unix_socket_directories: '', timezone: 'UTC' };
    expect(await query(url, `select ${values}`)).toEqual([expected]);
    expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600);
    const wrong = Object.assign(new URL(url), { password: 'wrong' }).toString();
    await expect(query(wrong, 'select 1')).rejects.toThrow(/password authentication failed/);
  });

  test('is in a session of its own, so that the Ctrl-C of a terminal does not reach it', async () => {
    await start();
    const stats = await readFile(`/proc/${await serverPid()}/stat`, 'utf8');
    expect(Number(stats.slice(stats.lastIndexOf(')') + 2).split(' ')[3])).toBe(await serverPid());
  });

  test('takes the place of a server that an earlier start left running', async () => {
    const left = await start();
    const pid = await serverPid();
    await query(left.url, 'create table kept ()');
    const next = await start();
    expect(await runs(pid)).toBe(false);
    expect(next.url).toBe(left.url);
    await query(next.url, 'select from kept');
  });

  test('starts after its server was killed', async () => {
    const killed = await startPostgres({ dataDir, durable: true });
    await query(killed.url, 'create table kept ()');
    killPid(await serverPid(), 'SIGKILL');
    await killed.exited;
    await query((await start()).url, 'select from kept');
  });

  test('is not kept from starting, and harms nobody, when its old pid is another program now', async () => {
    const first = await start();
    const pidFile = join(dataDir, 'cluster', 'postmaster.pid');
    const text = await readFile(pidFile, 'utf8');
    await first.stop();
    await writeFile(pidFile, text.replace(/^\d+/, String(process.pid)));
    await query((await start()).url, 'select 1');
  });

  test('a data directory whose making was interrupted is made anew', async () => {
    await mkdir(join(dataDir, 'new-cluster-half'), { recursive: true });
    await query((await start()).url, 'select 1');
    await expect(stat(join(dataDir, 'new-cluster-half'))).rejects.toThrow(/ENOENT/);
  });

  test('says why it does not start', async () => {
    const { port } = await start();
    const other = { dataDir: join(home, 'other'), durable: false, port };
    await expect(startPostgres(other)).rejects.toThrow(/does not start[^]*Address already in use/);
    await eventually(() => expect(stat(join(home, 'other', 'cluster', 'postmaster.pid'))).rejects.toThrow(/ENOENT/));
  });
});

function start() {
  return startPostgres({ dataDir, durable: false });
}

async function serverPid(): Promise<number> {
  return Number.parseInt(await readFile(join(dataDir, 'cluster', 'postmaster.pid'), 'utf8'), 10);
}

async function query(url: string, statement: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows;
  } finally {
    await client.end();
  }
}
