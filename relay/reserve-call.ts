import { BUDGET_REACHED, reachedMessage } from '../domain/money/budgets.ts';
import type { RelayDeps } from './relay-deps.ts';
import { RelayError } from './relay-error.ts';
import type { RelayAgent } from './store.ts';
import type { Target } from '../lib/settings/models.ts';
import { NOTHING } from './usage-tap.ts';
import type { RecordUsage, Usage } from './usage-tap.ts';

/** The reservation is kept for longer than its call may take. */
const MARGIN_MS = 120_000;

/** The most that a call may use. */
export type Promised = Pick<Usage, 'inputTokens' | 'outputTokens'>;

/** A call that is written down with the most that it may use. */
export interface ReservedCall {
  /**
   * Counts what the provider reported in its place. Without a report it is the input that was estimated, and of the answer
   * what came, as far as that was promised. Never throws: what the database does not take, a sweep counts as reserved.
   */
  settle(...said: [...Parameters<RecordUsage>, from?: Target | null]): Promise<void>;
  /** Counts all that was promised, because the provider may have done all of it. Never throws. */
  settleAsPromised(): Promise<void>;
  /** Forgets the call, because the provider did nothing for it. Never throws. */
  release(): Promise<void>;
}

interface Reserving {
  agent: RelayAgent;
  traceId: string | null;
  /** All that the model may read and write. */
  promised: Promised;
}

/**
 * Reserves what this call may use, before it goes out. Throws RelayError: 400 when a budget has no room for it, 503 when the
 * database does not take it.
 */
export async function reserveCall(deps: RelayDeps, { agent, traceId, promised }: Reserving): Promise<ReservedCall> {
  const { store, metrics, log, clock } = deps;
  const reserved = await store
    .reserve({ agent, traceId, ...promised, keptMs: deps.callMs + MARGIN_MS })
    .catch((cause: unknown) => {
      const message = 'The platform cannot count this call at the moment. Try again in a moment.';
      throw new RelayError(503, message, { retryAfterSeconds: 1, cause });
    });
  if (reserved.id === null) {
    throw new RelayError(400, reachedMessage(reserved.refusedBy, clock()), { code: BUDGET_REACHED });
  }
  const { id } = reserved;
  const settle: ReservedCall['settle'] = async (usage, finishReason, tokensThatCame, from = null) => {
    const outputTokens = Math.min(tokensThatCame, promised.outputTokens);
    const counted = usage ?? { ...NOTHING, inputTokens: promised.inputTokens, outputTokens };
    try {
      await store.settle(id, { ...counted, finishReason, from });
      log.info({ ...counted, ...from, usageKnown: usage !== null }, 'model call');
    } catch (err) {
      metrics.usageLost.inc();
      log.error({ err, ...counted }, 'the usage of a model call could not be stored; the reserved tokens will be counted');
    }
  };
  return {
    settle,
    settleAsPromised: () => settle(null, null, promised.outputTokens),
    async release() {
      await store.release(id).catch((err: unknown) => {
        log.error(
          { err, ...promised },
          'the reservation of a failed model call could not be released; the reserved tokens will be counted',
        );
      });
    },
  };
}
