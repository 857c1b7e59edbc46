import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { EnvHttpProxyAgent, fetch } from 'undici';
import { isErrno } from '../../lib/errno.ts';
import { goInstall, runProgram } from '../install/go-install.ts';
import { installPrograms, isExecutable, ProgramsError } from '../install/install-programs.ts';
import type { InstallOptions } from '../install/install-programs.ts';

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

/** Where its releases are. */
const RELEASES = `https://github.com/temporalio/cli/releases/download/v${VERSION}`;
/** The SHA-256 of each archive there that we can use. */
export const CHECKSUMS: Readonly<Record<string, string>> = {
  [`temporal_cli_${VERSION}_darwin_amd64.tar.gz`]: 'bbb73e2a31135abe50a1f1cdb35030c42961df618e8ce9c60ae89f201540c5d9',
  [`temporal_cli_${VERSION}_darwin_arm64.tar.gz`]: 'cca01b7ea35ad56e2a328d9ae596bf716bd22313ef63c7a761c88354457c2415',
  [`temporal_cli_${VERSION}_linux_amd64.tar.gz`]: 'ddc95e08b0b076efd4ea9733a3f488eb7d2be875f8834e616cd2a37358b4852d',
  [`temporal_cli_${VERSION}_linux_arm64.tar.gz`]: 'bd1b0db9f18b051026de8bf6cc1505f2510f14bbb7a8b9a4a91fff46c77454f5',
};

/** The address either answers at once or is closed to us; the archive itself is about 50 MB. */
const ANSWER_MS = 5_000;
const DOWNLOAD_MS = 90_000;

export interface TemporalOptions extends InstallOptions {
  /** For tests: where to download from, and what is expected there. */
  release?: { url: string; checksums: Readonly<Record<string, string>> };
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
  { env, signal, release = { url: RELEASES, checksums: CHECKSUMS }, onProgress }: TemporalOptions,
): Promise<string | null> {
  const name = `temporal_cli_${VERSION}_${process.platform}_${process.arch === 'x64' ? 'amd64' : process.arch}.tar.gz`;
  const checksum = release.checksums[name];
  if (checksum === undefined) return `there is no ${name}`;
  const archive = join(directory, name);
  const dispatcher = new EnvHttpProxyAgent({ connect: { timeout: ANSWER_MS }, headersTimeout: ANSWER_MS });
  const limits = AbortSignal.any([AbortSignal.timeout(DOWNLOAD_MS), ...(signal ? [signal] : [])]);
  try {
    const response = await fetch(`${release.url}/${name}`, { dispatcher, signal: limits });
    if (!response.ok || !response.body) return `the server responded with status ${response.status}`;
    onProgress?.(`Downloading Temporal ${VERSION} (about 50 MB, once).`);
    const hash = createHash('sha256');
    await pipeline(Readable.fromWeb(response.body), hashInto(hash), createWriteStream(archive));
    // Before anything of it is unpacked.
    if (hash.digest('hex') !== checksum) return `its archive does not have the SHA-256 ${checksum}`;
    const { code } = await runProgram('tar', ['-xzf', archive, '-C', directory, 'temporal'], { env, signal: limits });
    signal?.throwIfAborted();
    if (code === 'not found') return 'tar was not found on the PATH';
    return code === 0 ? null : 'its archive cannot be unpacked';
  } catch (error) {
    signal?.throwIfAborted();
    if (isErrno(error, 'ENOSPC')) throw error;
    return limits.aborted ? `not within ${DOWNLOAD_MS / 1000} seconds` : `${new URL(release.url).host} cannot be reached`;
  } finally {
    await rm(archive, { force: true });
    await dispatcher.destroy();
  }
}

/** Passes on what it hashes. */
function hashInto(hash: Hash) {
  return async function* (chunks: AsyncIterable<Uint8Array>) {
    for await (const chunk of chunks) {
      hash.update(chunk);
      yield chunk;
    }
  };
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
