import { spawn } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setInterval as every } from 'node:timers/promises';
import { EnvHttpProxyAgent, fetch } from 'undici';
import { isErrno } from '../lib/errno.ts';
import { withLock } from '../lib/file-lock.ts';

/** The last release that `go install` takes: later ones have a replace directive. */
const VERSION = '1.5.1';
const PACKAGE = `github.com/temporalio/cli/cmd/temporal@v${VERSION}`;

/** Where the SDK's own test environment downloads it from. */
const DOWNLOADS = 'https://temporal.download';

/** The address either answers at once or is closed to us; the archive itself is about 50 MB. */
const ANSWER_MS = 5_000;
const DOWNLOAD_MS = 90_000;

/** Longer than another start takes to build it on a slow machine. */
const LOCK_MS = 20 * 60_000;

/** How the names of folders begin in which an install is under way. */
const BUILDING = `.installing-temporal-`;

export interface TemporalOptions {
  cacheDir: string;
  /** For PATH, HOME, and Go's own settings (proxy, caches). */
  env: Readonly<Record<string, string | undefined>>;
  onProgress?: (sentence: string) => void;
  signal?: AbortSignal;
  /** For tests: where to download from. */
  downloads?: string;
}

/** Temporal could not be had. The message says why and what to do. */
export class TemporalBinaryError extends Error {}

/**
 * Answers the path of the pinned Temporal CLI, whose dev server is the Temporal of one machine: from the cache, from
 * the PATH, downloaded, or built with Go. It is installed beside its place and renamed, so a half install never
 * counts; of two at once one waits for the other. Throws TemporalBinaryError.
 */
export async function ensureTemporal(options: TemporalOptions): Promise<string> {
  const { cacheDir, signal } = options;
  const target = join(cacheDir, `temporal-${VERSION}`);
  const cached = join(target, 'temporal');
  try {
    if (await isExecutable(cached)) return cached;
    const onPath = await findOnPath(options);
    if (onPath !== null) return onPath;
    await mkdir(cacheDir, { recursive: true });
    await withLock(join(cacheDir, 'temporal.lock'), { signal, timeoutMs: LOCK_MS }, () => install(target, options));
    return cached;
  } catch (error) {
    if (isErrno(error, 'ENOSPC'))
      throw new TemporalBinaryError(
        `The disk is full: Temporal needs about 3 GB to be built, 250 MB at ${target}. Free some space.`,
      );
    if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR'))
      throw new TemporalBinaryError(`Temporal cannot be written to ${target}. Make that folder writable or set XDG_CACHE_HOME.`);
    throw error;
  }
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
  const said = await run(file, ['--version'], { env, signal });
  const release = /temporal version (\d+\.\d+\.\d+)(?!-DEV)/.exec(said.output)?.[1];
  if (release !== undefined && release !== '0.0.0') return release;
  const built = await run('go', ['version', '-m', file], { env, signal });
  return /github\.com\/temporalio\/cli\s+v(\d+\.\d+\.\d+)\s/.exec(built.output)?.[1] ?? null;
}

async function install(target: string, options: TemporalOptions): Promise<void> {
  if (await isExecutable(join(target, 'temporal'))) return;
  const { cacheDir, onProgress } = options;
  await removeLeftovers(cacheDir);
  try {
    const building = await mkdtemp(join(cacheDir, BUILDING));
    const refusal = await download(building, options);
    if (refusal !== null) {
      onProgress?.(
        `Temporal ${VERSION} cannot be downloaded (${refusal}); it is built with Go instead (about three minutes, once).`,
      );
      await build(building, options);
    }
    if (!(await isExecutable(join(building, 'temporal'))))
      throw new TemporalBinaryError('The install of Temporal ended without an error but left no program. Start again.');
    await rm(target, { recursive: true, force: true });
    await rename(building, target);
  } finally {
    await removeLeftovers(cacheDir);
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

async function build(directory: string, { env, onProgress, signal }: TemporalOptions): Promise<void> {
  const ended = new AbortController();
  const told = onProgress ? tellElapsed(onProgress, ended.signal) : Promise.resolve();
  try {
    const { code, output } = await run('go', ['install', PACKAGE], { env: { ...env, GOBIN: directory }, signal });
    signal?.throwIfAborted();
    if (code === 0) return;
    const problem =
      code === 'not found'
        ? 'Go was not found on the PATH.'
        : `Go could not build it (${code === null ? 'it was killed' : `exit code ${code}`}):\n${output.trim()}\n`;
    throw new TemporalBinaryError(
      `Temporal could be neither downloaded nor built. ${problem} ` +
        `Put the Temporal CLI ${VERSION} on the PATH, or install Go, or set TEMPORAL_ADDRESS to a running server.`,
    );
  } finally {
    ended.abort();
    await told;
  }
}

async function tellElapsed(onProgress: (sentence: string) => void, signal: AbortSignal): Promise<void> {
  const startedAt = performance.now();
  try {
    for await (const _ of every(15_000, undefined, { signal }))
      onProgress(
        `Building Temporal: ${Math.round((performance.now() - startedAt) / 1000)} seconds so far, about three minutes in all.`,
      );
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

/** An install that was killed leaves its folder; what resists here stays until the next one. */
async function removeLeftovers(cacheDir: string): Promise<void> {
  const names = (await readdir(cacheDir)).filter((name) => name.startsWith(BUILDING));
  await Promise.allSettled(names.map((name) => rm(join(cacheDir, name), { recursive: true, force: true })));
}

async function isExecutable(file: string): Promise<boolean> {
  try {
    await access(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface Ended {
  /** Null when it was ended by a signal. */
  code: number | null | 'not found';
  output: string;
}

function run(
  command: string,
  args: string[],
  { env, signal }: { env: TemporalOptions['env']; signal: AbortSignal | undefined },
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env: { ...env }, signal, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keepTail = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000);
    };
    child.stdout.on('data', keepTail);
    child.stderr.on('data', keepTail);
    child.once('error', () => resolve({ code: signal?.aborted ? null : 'not found', output }));
    child.once('close', (code) => resolve({ code, output }));
  });
}
