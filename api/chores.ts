import { deliverDue } from './doors/anthropic/events/initial-events.ts';
import type { Deps } from './deps.ts';
import { removeLeftAttachments } from './operations/messages/remove-left-attachments.ts';

interface Chore {
  name: string;
  everyMs: number;
  run(deps: Deps): Promise<void>;
}

/** Work that a call began and whose process may have died. Each process does it; the database gives each piece out once. */
const CHORES: readonly Chore[] = [
  { name: 'initial-events', everyMs: 1_000, run: deliverDue },
  { name: 'left-attachments', everyMs: 60_000, run: removeLeftAttachments },
];

/** Does the chores of an API process, each one round after the other, until it is stopped, which waits for what is under way. */
export function startChores(deps: Deps): { stop(): Promise<void> } {
  const running = CHORES.map((chore) => repeat(deps, chore));
  return {
    async stop() {
      await Promise.all(running.map((chore) => chore.stop()));
    },
  };
}

function repeat(deps: Deps, { name, everyMs, run }: Chore): { stop(): Promise<void> } {
  let round: Promise<void> | undefined;
  const timer = setInterval(() => {
    round ??= run(deps)
      .catch((err: unknown) => deps.log.warn({ err, chore: name }, 'a chore failed and is tried again'))
      .finally(() => (round = undefined));
  }, everyMs);
  return {
    async stop() {
      clearInterval(timer);
      await round;
    },
  };
}
