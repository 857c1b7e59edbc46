import { spawn } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readFile, readdir, rename, rm, stat } from 'node:fs/promises';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { isErrno } from '../../../lib/errno.ts';
import { withLock } from '../../../lib/async/file-lock.ts';

export interface OpenClawInstallation {
  /** The gateway's entry script; it is run with Node. */
  entry: string;
  version: string;
}

export interface InstallationOptions {
  cacheDir: string;
  /** npm's environment: PATH, HOME and its own settings (registry, proxy). */
  env: Readonly<Record<string, string | undefined>>;
  onProgress?: (sentence: string) => void;
  signal?: AbortSignal;
}

/** OpenClaw could not be installed. The message says why and what to do. */
export class InstallationError extends Error {}

const PACKAGE_DIR = join(dirname(fileURLToPath(import.meta.url)), '../package');

/** How the names of folders begin in which an install is under way. */
const BUILDING = '.installing-openclaw-';

/** Longer than another start takes to install on a slow connection. */
const LOCK_MS = 15 * 60_000;

const packageManifest = z.object({ dependencies: z.object({ openclaw: z.string().regex(/^\d+\.\d+\.\d+$/) }) });
const installedManifest = z.object({ version: z.string() });

/**
 * Makes the pinned OpenClaw present in the cache and answers where it is. It is installed beside its place and
 * renamed, so a half install never counts; of two at once one waits for the other. Throws InstallationError.
 */
export async function ensureOpenClaw(options: InstallationOptions): Promise<OpenClawInstallation> {
  const { cacheDir, signal } = options;
  const version = await pinnedVersion();
  const target = join(cacheDir, `openclaw-${version}`);
  try {
    if (!(await isComplete(target, version))) {
      await mkdir(cacheDir, { recursive: true });
      await withLock(join(cacheDir, 'openclaw.lock'), { signal, timeoutMs: LOCK_MS }, () => install(target, version, options));
    }
  } catch (error) {
    throw asInstallationError(error, target);
  }
  return { entry: join(target, 'node_modules', 'openclaw', 'dist', 'index.js'), version };
}

/** Where the pinned OpenClaw package is, or will be once it is installed. */
export async function packageDirOf(cacheDir: string): Promise<string> {
  return join(cacheDir, `openclaw-${await pinnedVersion()}`, 'node_modules', 'openclaw');
}

async function install(target: string, version: string, options: InstallationOptions): Promise<void> {
  if (await isComplete(target, version)) return;
  options.onProgress?.(`Installing OpenClaw ${version} into ${target} (about half a minute, once).`);
  await removeLeftovers(options.cacheDir);
  try {
    const building = await mkdtemp(join(options.cacheDir, BUILDING));
    await chmod(building, 0o755);
    await cp(PACKAGE_DIR, building, { recursive: true });
    await installPackages(building, options);
    if (!(await isComplete(building, version)))
      throw new InstallationError('npm ended without an error but left OpenClaw incomplete. Start again.');
    await rm(target, { recursive: true, force: true });
    await rename(building, target);
  } finally {
    await removeLeftovers(options.cacheDir);
  }
  options.onProgress?.(`OpenClaw ${version} is installed.`);
}

/**
 * An install that was killed leaves its folder, and perhaps an npm that still writes into it: so each install has a
 * new folder, and what resists here stays until the next one.
 */
async function removeLeftovers(cacheDir: string): Promise<void> {
  const names = (await readdir(cacheDir)).filter((name) => name.startsWith(BUILDING));
  await Promise.allSettled(names.map((name) => rm(join(cacheDir, name), { recursive: true, force: true })));
}

/** The OpenClaw release that runtime/openclaw/package pins. */
export async function pinnedVersion(): Promise<string> {
  const manifest = packageManifest.parse(JSON.parse(await readFile(join(PACKAGE_DIR, 'package.json'), 'utf8')));
  return manifest.dependencies.openclaw;
}

/** npm writes its hidden lockfile as its last step, so an install that has one is complete, whichever process made it. */
async function isComplete(directory: string, version: string): Promise<boolean> {
  const modules = join(directory, 'node_modules');
  try {
    await stat(join(modules, '.package-lock.json'));
    await stat(join(modules, 'openclaw', 'dist', 'index.js'));
    const [wanted, installed, manifest] = await Promise.all([
      readFile(join(PACKAGE_DIR, 'package-lock.json'), 'utf8'),
      readFile(join(directory, 'package-lock.json'), 'utf8'),
      readFile(join(modules, 'openclaw', 'package.json'), 'utf8'),
    ]);
    return installed === wanted && installedManifest.parse(JSON.parse(manifest)).version === version;
  } catch (error) {
    if (isErrno(error, 'ENOENT', 'ENOTDIR') || error instanceof SyntaxError || error instanceof z.ZodError) return false;
    throw error;
  }
}

async function installPackages(directory: string, { env, signal }: InstallationOptions): Promise<void> {
  const path = [dirname(process.execPath), env['PATH'] ?? ''].join(delimiter);
  const options = ['--prefix', directory, '--no-audit', '--no-fund', '--loglevel=error'];
  // OpenClaw finishes its own installation by a script; no other package needs one, and none may run.
  const steps = [
    ['ci', '--omit=dev', '--ignore-scripts'],
    ['rebuild', 'openclaw'],
  ];
  for (const step of steps) {
    const { code, output } = await run('npm', [...step, ...options], { cwd: directory, env: { ...env, PATH: path }, signal });
    if (code === 0) continue;
    throw new InstallationError(
      `npm could not install OpenClaw (exit code ${code ?? 'none'}). Check the connection to the package registry ` +
        `and the free disk space, then start again. npm said:\n${output.trim()}`,
    );
  }
}

interface RunOptions {
  cwd: string;
  env: Record<string, string | undefined>;
  signal: AbortSignal | undefined;
}

function run(command: string, args: string[], { cwd, env, signal }: RunOptions) {
  return new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const child = spawn(command, args, { cwd, env, signal, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    const keepTail = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-4_000);
    };
    child.stdout.on('data', keepTail);
    child.stderr.on('data', keepTail);
    // One that was aborted still runs for a moment, and writes.
    child.once('error', (error) => (child.pid === undefined ? reject(error) : child.once('close', () => reject(error))));
    child.once('close', (code) => resolve({ code, output }));
  });
}

function asInstallationError(error: unknown, target: string): unknown {
  if (isErrno(error, 'ENOSPC'))
    return new InstallationError(`The disk is full: OpenClaw needs about 1 GB at ${target}. Free some space and start again.`);
  if (isErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOTDIR'))
    return new InstallationError(`OpenClaw cannot be written to ${target}. Make that folder writable or set XDG_CACHE_HOME.`);
  if (isErrno(error, 'ENOENT')) return new InstallationError('npm was not found on the PATH. Install npm, then start again.');
  return error;
}
