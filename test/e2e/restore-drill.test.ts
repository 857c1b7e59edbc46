import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readFile, readdir, rm, symlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { beforeAll, expect, test } from '@jest/globals';
import { temporaryDir } from '../local/temporary-dir.ts';
import { createApiClient } from '../support/api-client.ts';
import { FIRST_START_MS, npmStart, untilItRuns } from '../support/npm-start.ts';
import { newAgent, say } from '../support/patient-client.ts';

const ROOT = join(import.meta.dirname, '../..');
const LONG_MS = 300_000;

const dir = temporaryDir();
/** Where drills make their folders, and nothing else does. */
const drills = () => dir.path('drills');
beforeAll(async () => {
  await mkdir(drills());
  // PostgreSQL may have to run as another user, who must get in.
  await chmod(drills(), 0o755);
});

/** `npm run restore:drill`, with the settings of this machine. */
async function drill(archive: string): Promise<{ code: unknown; output: string; errors: string }> {
  const child = spawn(process.execPath, [join(ROOT, 'scripts/restore-drill.ts'), archive], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_OPTIONS: '', TMPDIR: drills() },
  });
  const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code, output, errors };
}

const pack = (dataDir: string, archive: string) =>
  promisify(execFile)('tar', ['-C', dataDir, '-czhf', archive, '--exclude=./logs', '.']);

test(
  'a backup of DATA_DIR alone is restored in an empty place, where an agent of it answers; nothing of the copy stays',
  async () => {
    const dataDir = dir.path('backed-up');
    const stack = await npmStart(dataDir);
    try {
      await untilItRuns(stack);
      const apiKey = (await readFile(join(dataDir, 'api-key'), 'utf8')).trim();
      const account = createApiClient(`http://127.0.0.1:${stack.port}`, { 'x-api-key': apiKey });
      const { instanceId } = await account.ok('POST', '/instances', { name: 'kept' });
      const { path } = await newAgent(account, instanceId);
      await say(account, path, { message: 'Good morning!' });
    } finally {
      stack.child.kill('SIGTERM');
      await once(stack.child, 'exit');
    }
    const archive = dir.path('data.tgz');
    await pack(dataDir, archive);
    await rm(dataDir, { recursive: true, maxRetries: 5, retryDelay: 200 });
    const { code, output, errors } = await drill(archive);
    expect([code, errors]).toEqual([0, '']);
    expect(output).toContain('The backup can be restored: one of its agents replied');
    expect(await readdir(drills())).toEqual([]);
  },
  FIRST_START_MS + 3 * LONG_MS,
);

test('a backup without a database, or with a link in its place, is refused in a sentence before anything is started', async () => {
  const [empty, linked] = [dir.path('without'), dir.path('linked')];
  await mkdir(empty, { recursive: true });
  await mkdir(join(linked, 'postgres'), { recursive: true });
  await symlink(dirname(linked), join(linked, 'postgres', 'cluster'));
  for (const [folder, sentence] of [
    [empty, 'has no PostgreSQL in postgres/cluster'],
    [linked, 'has a link in place of postgres/cluster'],
  ] as const) {
    const archive = `${folder}.tgz`;
    await promisify(execFile)('tar', ['-C', folder, '-czf', archive, '.']);
    const { code, errors } = await drill(archive);
    expect([code, errors]).toEqual([1, expect.stringContaining(sentence)]);
  }
  expect(await readdir(drills())).toEqual([]);
});
