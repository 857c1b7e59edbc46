import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { OpenProgram } from '../inside/open-program.ts';

/** Starts a program of this machine that is spoken to while it runs, until the signal is aborted. */
export function openStateProgram([command, ...args]: [string, ...string[]], signal: AbortSignal): OpenProgram {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { PATH: '/usr/local/bin:/usr/bin:/bin' },
    detached: true,
  });
  const ended = once(child, 'close').catch(() => undefined);
  // Its reader hears of it by the end that is missing.
  child.on('error', () => child.stdout.destroy());
  child.stdin.on('error', () => undefined);
  const kill = (): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has just ended.
    }
  };
  signal.addEventListener('abort', kill, { once: true });
  async function* printed(): AsyncGenerator<Buffer, void> {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) yield piece;
  }
  const close = async (): Promise<void> => {
    signal.removeEventListener('abort', kill);
    kill();
    child.stdout.destroy();
    await ended;
  };
  return { input: child.stdin, output: printed(), close };
}
