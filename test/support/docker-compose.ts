import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { goInstall, runProgram } from '../../local/install/go-install.ts';
import { installPrograms } from '../../local/install/install-programs.ts';
import type { InstallOptions } from '../../local/install/install-programs.ts';

/** The newest that `go install` takes: later ones exclude something in their go.mod. */
const VERSION = '2.32.4';
const PROGRAMS = {
  title: 'Docker Compose',
  name: 'docker-compose',
  version: VERSION,
  // As Go names it after its package.
  files: ['cmd'],
  space: 'about 3 GB to be built, 100 MB',
};
/** What docker-compose.yml asks for: 2.24 or later. */
const GOOD_ENOUGH = /^v?(2\.(2[4-9]|[3-9]\d)\.|[3-9]\.|\d\d)/;

type Options = Omit<InstallOptions, 'cacheDir'>;

/** Answers the words that run Docker Compose: this machine's own, else the pinned one, which is built once. Throws ProgramsError. */
export async function ensureCompose(options: Options): Promise<[command: string, ...words: string[]]> {
  const own = await runProgram('docker', ['compose', 'version', '--short'], options);
  if (own.code === 0 && GOOD_ENOUGH.test(own.output.trim())) return ['docker', 'compose'];
  const all = { ...options, cacheDir: cacheDirOf(options.env) };
  const directory = await installPrograms(PROGRAMS, all, async (draft) => {
    options.onProgress?.(`Docker Compose ${VERSION} is built with Go (about three minutes, once).`);
    const packages = [`github.com/docker/compose/v2/cmd@v${VERSION}`];
    await goInstall({ title: PROGRAMS.title, packages, duration: 'about three minutes' }, draft, options);
    options.onProgress?.(`Docker Compose ${VERSION} is installed.`);
  });
  return [join(directory, 'cmd')];
}

/** Runs it in this folder and answers what it prints. */
export async function runCompose(
  words: readonly string[],
  { env, cwd }: { env: NodeJS.ProcessEnv; cwd: string },
): Promise<string> {
  const [command, ...first] = await ensureCompose({ env: process.env });
  return (await promisify(execFile)(command, [...first, ...words], { env, cwd, maxBuffer: 64 * 1024 ** 2 })).stdout;
}
