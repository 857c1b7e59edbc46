import { createCallSlots, NoSlotError } from '../lib/async/call-slots.ts';
import { RelayError } from './relay-error.ts';

const PATIENCE_MS = 30_000;
/** A gateway runs at most eight turns at once. */
const AGENT = { atOnce: 8, waiting: 16, patienceMs: PATIENCE_MS };
const ACCOUNT = { atOnce: 32, waiting: 64, patienceMs: PATIENCE_MS };
const RETRY_AFTER_SECONDS = 5;

interface Caller {
  agentId: string;
  accountId: string;
}

export interface OpenCalls {
  /**
   * Carries a call out as soon as its agent and its account have room for it. Throws RelayError 429 when that takes too
   * long or too many wait already; a gateway then tries again.
   */
  run<T>(caller: Caller, call: () => Promise<T>): Promise<T>;
}

/** How many model calls of an agent and of an account are under way in this process, so that one leaves room for the others. */
export function createOpenCalls({ agent = AGENT, account = ACCOUNT } = {}): OpenCalls {
  const [ofAgents, ofAccounts] = [createCallSlots(agent), createCallSlots(account)];
  return {
    async run({ agentId, accountId }, call) {
      try {
        return await ofAgents.run(agentId, () => ofAccounts.run(accountId, call));
      } catch (cause) {
        if (!(cause instanceof NoSlotError)) throw cause;
        const most = `${agent.atOnce} of an agent and ${account.atOnce} of an account`;
        const message = `Too many model calls are under way at the same time: at most ${most}. Wait until one has ended.`;
        throw new RelayError(429, message, { retryAfterSeconds: RETRY_AFTER_SECONDS, cause });
      }
    },
  };
}
