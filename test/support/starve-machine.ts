import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';

/** How many processes want each core: everything on the machine takes so many times as long. */
const PER_CORE = 12;

export interface Starvation {
  /** Resolves when it is over. */
  over: Promise<unknown>;
  /** Ends it before its time. */
  end(): void;
}

/**
 * Starts processes that want every core all the time and end by themselves after forMs. Whatever else runs here suffers:
 * each has a session of its own, because Linux may share out its cores among sessions.
 */
export function starveMachine(forMs: number): Starvation {
  const code = `const end = Date.now() + ${forMs}; while (Date.now() < end);`;
  const children = Array.from({ length: PER_CORE * availableParallelism() }, () =>
    spawn(process.execPath, ['-e', code], { stdio: 'ignore', detached: true }),
  );
  return {
    over: Promise.all(children.map((child) => once(child, 'exit'))),
    end() {
      for (const child of children) child.kill('SIGKILL');
    },
  };
}
