import { claimInitial } from '../../../database/messages/claim-initial.ts';
import type { Deps } from '../../deps.ts';
import { deliverInitial } from './initial-events.ts';

const EACH_MS = 1_000;

/** Sends, in a process of the API, what sessions were created with and what waits for their environments. Resolves what is under way when stopped. */
export function watchInitialEvents(deps: Deps): { stop(): Promise<void> } {
  let round: Promise<void> = Promise.resolve();
  const timer = setInterval(() => {
    round = round.then(() => deliverDue(deps));
  }, EACH_MS);
  return {
    async stop() {
      clearInterval(timer);
      await round;
    },
  };
}

/** Tries once all sessions that are due. */
export async function deliverDue(deps: Deps): Promise<void> {
  try {
    for (const sessionId of await claimInitial(deps.orm.em.fork())) await deliverInitial(deps, sessionId);
  } catch (err) {
    deps.log.warn({ err }, 'initial events of sessions could not be sent');
  }
}
