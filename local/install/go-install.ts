import { spawn } from 'node:child_process';
import { setInterval as every } from 'node:timers/promises';
import { ProgramsError } from './install-programs.ts';
import type { InstallOptions } from './install-programs.ts';

const TELL_EVERY_MS = 15_000;
const KEPT_OUTPUT = 4_000;

interface GoBuild {
  /** As a sentence begins: "Temporal". */
  title: string;
  /** With their versions. */
  packages: readonly string[];
  /** How long it takes, in words: "about three minutes". */
  duration: string;
}

/** Builds these packages into the folder. Throws ProgramsError with what Go said. */
export async function goInstall(build: GoBuild, directory: string, options: Omit<InstallOptions, 'cacheDir'>): Promise<void> {
  const { env, onProgress, signal } = options;
  const ended = new AbortController();
  const told = onProgress ? tellElapsed(build, onProgress, ended.signal) : Promise.resolve();
  try {
    const { code, output } = await runProgram('go', ['install', ...build.packages], {
      env: { ...env, GOBIN: directory },
      signal,
    });
    signal?.throwIfAborted();
    if (code === 0) return;
    if (code === 'not found') throw new ProgramsError(`Go was not found on the PATH. It builds ${build.title}.`);
    const how = code === null ? 'it was killed' : `exit code ${code}`;
    throw new ProgramsError(`Go could not build it (${how}):\n${output.trim()}\n`);
  } finally {
    ended.abort();
    await told;
  }
}

async function tellElapsed(
  { title, duration }: GoBuild,
  onProgress: (sentence: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const startedAt = performance.now();
  try {
    for await (const _ of every(TELL_EVERY_MS, undefined, { signal }))
      onProgress(`Building ${title}: ${Math.round((performance.now() - startedAt) / 1000)} seconds so far, ${duration} in all.`);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

interface Ended {
  /** Null when it was ended by a signal. */
  code: number | null | 'not found';
  /** The end of what it said. */
  output: string;
}

/** Runs a program to its end. */
export function runProgram(
  command: string,
  args: readonly string[],
  { env, signal }: { env: InstallOptions['env']; signal?: AbortSignal | undefined },
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env: { ...env }, signal, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keepTail = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-KEPT_OUTPUT);
    };
    child.stdout.on('data', keepTail);
    child.stderr.on('data', keepTail);
    child.once('error', () => resolve({ code: signal?.aborted ? null : 'not found', output }));
    child.once('close', (code) => resolve({ code, output }));
  });
}
