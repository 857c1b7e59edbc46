import { spawn } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { ensureVenv } from '../../scripts/python-venv.ts';
import { removeFolder } from './remove-folder.ts';

const ROOT = join(import.meta.dirname, '../..');
const VERSION = '4.32.5';
const REQUIREMENTS = join(ROOT, 'test/support/schemathesis.txt');

/** Answers the pinned schemathesis, which is installed with its dependencies into the cache the first time. */
export async function ensureSchemathesis(): Promise<string> {
  const cacheDir = cacheDirOf(process.env);
  const target = join(cacheDir, `schemathesis-${VERSION}`);
  await ensureVenv(target, REQUIREMENTS);
  return join(target, 'bin/st');
}

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
    await removeFolder(cwd);
  }
}
