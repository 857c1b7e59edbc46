import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from '../support/eventually.ts';

/** A program at a terminal of its own. */
export interface Terminal {
  /** What was written to it so far, as a terminal gets it. */
  screen(): string;
  /** Resolves when it has written this after what it was last waited for. */
  shows(text: string): Promise<void>;
  /** As if it was typed. */
  type(text: string): void;
  /** Its exit code, once it has ended. */
  ended: Promise<number | null>;
  kill(): void;
}

/** Python's pty: the terminal of this machine's `script` differs between systems. The program has no other way to see a terminal. */
const AT_TERMINAL = `
import os, pty, sys
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))
`;

/** Starts a program at a terminal. */
export function openTerminal(command: readonly string[], options: { cwd: string; env: Record<string, string> }): Terminal {
  const child = spawn('python3', ['-c', AT_TERMINAL, ...command], { ...options, stdio: ['pipe', 'pipe', 'inherit'] });
  let [screen, seen] = ['', 0];
  child.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()));
  return {
    screen: () => screen,
    async shows(text) {
      await eventually(() => {
        const place = screen.indexOf(text, seen);
        if (place === -1)
          throw new Error(`the terminal does not show ${JSON.stringify(text)}: ${JSON.stringify(screen.slice(seen))}`);
        seen = place + text.length;
      });
    },
    type: (text) => void child.stdin.write(text),
    ended: once(child, 'close').then(() => child.exitCode),
    kill: () => void child.kill('SIGKILL'),
  };
}
