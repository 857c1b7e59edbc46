import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EnvHttpProxyAgent, fetch } from 'undici';
import { isErrno } from '../lib/errno.ts';
import { goInstall, runProgram } from './go-install.ts';
import { installPrograms, isExecutable, ProgramsError } from './install-programs.ts';
import type { InstallOptions } from './install-programs.ts';

/** The last release that `go install` takes: later ones have a replace directive. */
const VERSION = '1.5.1';
const PACKAGE = `github.com/temporalio/cli/cmd/temporal@v${VERSION}`;
const PROGRAMS = {
  title: 'Temporal',
  name: 'temporal',
  version: VERSION,
  files: ['temporal'],
  space: 'about 3 GB to be built, 250 MB',
};

/** Where the SDK's own test environment downloads it from. */
const DOWNLOADS = 'https://temporal.download';

/** The address either answers at once or is closed to us; the archive itself is about 50 MB. */
const ANSWER_MS = 5_000;
const DOWNLOAD_MS = 90_000;

export interface TemporalOptions extends InstallOptions {
  /** For tests: where to download from. */
  downloads?: string;
}

/**
 * Answers the path of the pinned Temporal CLI, whose dev server is the Temporal of one machine: from the cache, from
 * the PATH, downloaded, or built with Go. Throws ProgramsError.
 */
export async function ensureTemporal(options: TemporalOptions): Promise<string> {
  const cached = join(options.cacheDir, `${PROGRAMS.name}-${VERSION}`, 'temporal');
  if (await isExecutable(cached)) return cached;
  const onPath = await findOnPath(options);
  if (onPath !== null) return onPath;
  await installPrograms(PROGRAMS, options, (directory) => install(directory, options));
  return cached;
}

async function findOnPath({ env, onProgress, signal }: TemporalOptions): Promise<string | null> {
  for (const directory of (env['PATH'] ?? '').split(delimiter).filter(Boolean)) {
    const file = join(directory, 'temporal');
    if (!(await isExecutable(file))) continue;
    const version = await versionOf(file, env, signal);
    if (version === VERSION) return file;
    onProgress?.(`The Temporal at ${file} is ${version ?? 'of an unknown version'}, not ${VERSION}: it is passed over.`);
  }
  return null;
}

/** A release says its version; one built by `go install` says 0.0.0-DEV, but Go knows what it was built from. */
async function versionOf(file: string, env: TemporalOptions['env'], signal: AbortSignal | undefined): Promise<string | null> {
  const said = await runProgram(file, ['--version'], { env, signal });
  const release = /temporal version (\d+\.\d+\.\d+)(?!-DEV)/.exec(said.output)?.[1];
  if (release !== undefined && release !== '0.0.0') return release;
  const built = await runProgram('go', ['version', '-m', file], { env, signal });
  return /github\.com\/temporalio\/cli\s+v(\d+\.\d+\.\d+)\s/.exec(built.output)?.[1] ?? null;
}

async function install(directory: string, options: TemporalOptions): Promise<void> {
  const { onProgress } = options;
  const refusal = await download(directory, options);
  if (refusal !== null) {
    onProgress?.(
      `Temporal ${VERSION} cannot be downloaded (${refusal}); it is built with Go instead (about three minutes, once).`,
    );
    await build(directory, options);
  }
  onProgress?.(`Temporal ${VERSION} is installed.`);
}

/** Puts the released program into the folder; answers why that did not work. */
async function download(
  directory: string,
  { env, signal, downloads = DOWNLOADS, onProgress }: TemporalOptions,
): Promise<string | null> {
  const platform = process.platform;
  const arch = process.arch === 'x64' ? 'amd64' : process.arch;
  const url = `${downloads}/cli/archive/v${VERSION}?platform=${platform}&arch=${arch}`;
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: ANSWER_MS }, headersTimeout: ANSWER_MS });
  const limits = AbortSignal.any([AbortSignal.timeout(DOWNLOAD_MS), ...(signal ? [signal] : [])]);
  try {
    const response = await fetch(url, { dispatcher, signal: limits });
    if (!response.ok || !response.body) return `the server answered ${response.status}`;
    onProgress?.(`Downloading Temporal ${VERSION} (about 50 MB, once).`);
    const tar = spawn('tar', ['-xzf', '-', '-C', directory, 'temporal'], {
      env: { ...env },
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    const unpacked = new Promise<number | null>((resolve, reject) => tar.once('error', reject).once('close', resolve));
    const [code] = await Promise.all([unpacked, pipeline(Readable.fromWeb(response.body), tar.stdin)]);
    return code === 0 ? null : 'its archive cannot be unpacked';
  } catch (error) {
    signal?.throwIfAborted();
    if (isErrno(error, 'ENOSPC')) throw error;
    if (isErrno(error, 'ENOENT')) return 'tar was not found on the PATH';
    return limits.aborted ? `not within ${DOWNLOAD_MS / 1000} seconds` : `there is no way to ${new URL(url).host}`;
  } finally {
    await dispatcher.destroy();
  }
}

async function build(directory: string, options: TemporalOptions): Promise<void> {
  try {
    await goInstall({ title: PROGRAMS.title, packages: [PACKAGE], duration: 'about three minutes' }, directory, options);
  } catch (error) {
    if (!(error instanceof ProgramsError)) throw error;
    throw new ProgramsError(
      `Temporal could be neither downloaded nor built. ${error.message} ` +
        `Put the Temporal CLI ${VERSION} on the PATH, or install Go, or set TEMPORAL_ADDRESS to a running server.`,
      { cause: error },
    );
  }
}
