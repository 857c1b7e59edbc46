import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { isErrno } from '../lib/errno.ts';

export interface Program {
  command: string;
  args: string[];
  env: Record<string, string | undefined>;
  cwd: string;
}

/** A running part of the stack, in its own session. */
export interface Child {
  /** How it ended, as the rest of a sentence. Never rejects. */
  ended: Promise<string>;
  hasEnded(): boolean;
  /** Where in the log file its own lines begin, in bytes. */
  logStart: number;
  /** Sends the signal; nothing happens when it has ended. SIGKILL takes what it started in its own session with it. */
  kill(signal: NodeJS.Signals): void;
}

/** Writes the pid and start time of this process to its pid file, then becomes the program: no kill can leave one without its pid file. */
const WRAPPER = `
  start=$(cut -d ' ' -f 22 "/proc/$$/stat" 2>/dev/null || LC_ALL=C TZ=UTC0 ps -o lstart= -p "$$" | tr -s ' ')
  printf '%s\\n%s\\n' "$$" "$start" >"$0.new" && mv "$0.new" "$0" || exit 75
  exec "$@"`;

/**
 * Starts the program with its output appended to the log file and its pid file written. It has its own session: Ctrl-C in the
 * terminal does not reach it, and it outlives this process when that is killed. Never throws: a program that could not be
 * started is a child that has ended.
 */
export function startChild(program: Program, files: { logFile: string; pidFile: string }): Child {
  try {
    const log = openSync(files.logFile, 'a', 0o600);
    try {
      return spawnChild(program, files.pidFile, log);
    } finally {
      closeSync(log);
    }
  } catch (error) {
    return { ended: Promise.resolve(couldNotStart(error)), hasEnded: () => true, logStart: 0, kill() {} };
  }
}

function spawnChild({ command, args, env, cwd }: Program, pidFile: string, log: number): Child {
  const logStart = fstatSync(log).size;
  const child = spawn('/bin/sh', ['-c', WRAPPER, pidFile, command, ...args], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', log, log],
  });
  let hasEnded = false;
  const ended = once(child, 'exit')
    .then(([code, signal]) => (signal ? `was killed (${signal})` : `ended with exit code ${code}`), couldNotStart)
    .finally(() => {
      hasEnded = true;
    });
  return {
    ended,
    hasEnded: () => hasEnded,
    logStart,
    kill(signal) {
      if (hasEnded || child.pid === undefined) return;
      try {
        process.kill(signal === 'SIGKILL' ? -child.pid : child.pid, signal);
      } catch (error) {
        if (!isErrno(error, 'ESRCH')) throw error;
      }
    },
  };
}

function couldNotStart(error: unknown): string {
  return `could not be started (${Error.isError(error) ? error.message : String(error)})`;
}
