import { execFile, spawn } from 'node:child_process';
import { access, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { withLock } from '../../lib/async/file-lock.ts';

const ROOT = join(import.meta.dirname, '../..');
const VERSION = '4.32.5';
const REQUIREMENTS = join(ROOT, 'test/support/schemathesis.txt');
const INSTALL_MS = 5 * 60_000;
const run = promisify(execFile);

/** Answers the pinned schemathesis, which is installed with its dependencies into the cache the first time. */
export async function ensureSchemathesis(): Promise<string> {
  const cacheDir = cacheDirOf(process.env);
  const target = join(cacheDir, `schemathesis-${VERSION}`);
  const command = join(target, 'bin/st');
  return withLock(`${target}.lock`, { timeoutMs: INSTALL_MS }, async () => {
    const done = join(target, 'installed');
    if (await exists(done)) return command;
    await rm(target, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', target], { timeout: INSTALL_MS });
    const pip = join(target, 'bin/pip');
    await run(pip, ['install', '--quiet', '--no-deps', '--requirement', REQUIREMENTS], { timeout: INSTALL_MS });
    // Scripts of a venv name its folder, so it cannot be made elsewhere and moved here: the last file says that it is whole.
    await run('touch', [`${done}.new`]);
    await rename(`${done}.new`, done);
    return command;
  });
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  );

export interface SchemathesisRun {
  /** Its exit code: 0 when it found nothing. */
  code: number | null;
  output: string;
}

/** Runs it with this configuration, which may name the variables. What it keeps between runs is thrown away. */
export async function runSchemathesis(
  options: readonly string[],
  { config, env }: { config: string; env: Record<string, string> },
): Promise<SchemathesisRun> {
  const command = await ensureSchemathesis();
  const cwd = await mkdtemp(join(tmpdir(), 'schemathesis-'));
  try {
    const child = spawn(command, ['--config-file', config, 'run', ...options], {
      cwd,
      env: { PATH: process.env['PATH'], HOME: cwd, PYTHONHASHSEED: '0', COLUMNS: '120', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (data) => void (output += String(data)));
    child.stderr.on('data', (data) => void (output += String(data)));
    const code = await new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
    return { code, output };
  } finally {
    await rm(cwd, { recursive: true, force: true });
  }
}
