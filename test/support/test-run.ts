import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { z } from 'zod';
import { isErrno } from '../../lib/errno.ts';
import { withLock } from '../../lib/async/file-lock.ts';
import { stopPostgres } from '../../local/postgres/postgres.ts';
import { killPid } from '../../runtime/host/process-identity.ts';
import { replaceFile } from '../../runtime/host/replace-file.ts';
import { PATIENCE_MS } from './eventually.ts';
import { endGateways } from './lent-gateways.ts';
import { memoryFolderOf } from './memory-folder.ts';
import { removeFolder } from './remove-folder.ts';
import { RUN_VARIABLE, testRunDir } from './run-folder.ts';

/**
 * Waits until the run ($1) has ended, however it did, and ends the servers in its folder ($2), and every process that has the
 * folder in its environment; what such a process starts as it is ended, a second later. Removes the folder, and the one in memory ($3).
 */
const REAPER = `
while kill -0 "$1" && [ -d "$2" ]; do sleep 1; done
[ -d "$2" ] || exit 0
kill -QUIT "$(head -n 1 "$2/postgres/cluster/postmaster.pid")"
kill -KILL "$(cat "$2/temporal.pid")"
for record in "$2"/gateways/*/runtimes/*/process; do kill -KILL "$(sed -n 2p "$record")"; done
for round in 1 2; do
  for environ in $(grep -lsF "$2" /proc/[0-9]*/environ); do kill -KILL "$(basename "$(dirname "$environ")")"; done
  sleep 1
done
rm -rf "$(readlink -f "$2/postgres/cluster")" "$3" "$2"
`;

/** Opens the folder of this run, where its servers live. They start when a test first asks for them. */
export async function openTestRun(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'thermidora-test-'));
  await chmod(directory, 0o755);
  process.env[RUN_VARIABLE] = directory;
  // Without the folder in its own environment.
  const env = { PATH: process.env['PATH'] };
  const args = [String(process.pid), directory, memoryFolderOf(directory)];
  spawn('/bin/sh', ['-c', REAPER, 'sh', ...args], { env, detached: true, stdio: 'ignore' }).unref();
}

/** Stops the servers of this run and removes its folder. */
export async function closeTestRun(): Promise<void> {
  const directory = testRunDir();
  await stopPostgres(join(directory, 'postgres'));
  const temporal = Number(await readIfPresent(join(directory, 'temporal.pid')));
  if (temporal > 0) killPid(temporal, 'SIGKILL');
  await endGateways(directory);
  const cluster = await realpath(join(directory, 'postgres', 'cluster')).catch(() => directory);
  for (const path of [cluster, memoryFolderOf(directory), directory]) await removeFolder(path);
}

/** Starts a server for the whole run, or answers what the first one to ask has started. */
export async function startOnce<T>(name: string, schema: z.ZodType<T>, start: () => Promise<T>): Promise<T> {
  const file = join(testRunDir(), `${name}.json`);
  return withLock(join(testRunDir(), `${name}.lock`), { timeoutMs: PATIENCE_MS }, async () => {
    const known = await readIfPresent(file);
    if (known !== null) return schema.parse(JSON.parse(known));
    const server = await start();
    await replaceFile(file, JSON.stringify(server), 0o600);
    return server;
  });
}

async function readIfPresent(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}
