import type { EntityManager } from '@mikro-orm/postgresql';
import { findRecorded } from '../database/crons/crons.ts';
import { messagesReadTo, noteMessagesRead, recordUnprompted, runOccurrence } from '../database/messages/record-unprompted.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { GatewayClient, GatewayEvent } from '../runtime/openclaw/wire/gateway-client.ts';
import { readHistory } from '../runtime/openclaw/conversation/gateway-history.ts';
import { conversationIdOf } from '../runtime/openclaw/conversation/session-key.ts';
import { listSessionsSince, unpromptedRuns } from '../runtime/openclaw/conversation/unprompted-runs.ts';
import { Recorder } from './recorder.ts';
import type { TurnDeps } from './turn-deps.ts';

type Deps = Pick<TurnDeps, 'orm' | 'makeId' | 'clock' | 'log' | 'maxStoredBytes'>;

/** A run may have begun so long before its conversation was last read. */
const LATE_MS = 10 * 60_000;

/**
 * Records what the agents of one gateway say by themselves, over one connection: hears it, and reads back at once what
 * was said before it was connected. Answers to messages are turns, and what jobs say is theirs: neither is recorded here.
 */
export class MessageWatch {
  readonly #deps: Deps;
  readonly #instanceId: string;
  readonly #client: GatewayClient;
  readonly #recorder: Recorder;

  constructor(deps: Deps, instanceId: string, client: GatewayClient) {
    this.#deps = deps;
    this.#instanceId = instanceId;
    this.#client = client;
    this.#recorder = new Recorder({
      client,
      onEvent: (event) => this.#onEvent(event),
      readBack: () => this.#readBack(),
      onFailure: (err, sessionKey) =>
        deps.log.warn({ err, instanceId, sessionKey }, 'could not record a message of an agent; trying again'),
    });
  }

  /** Resolves when nothing of it is under way any more. */
  end(): Promise<void> {
    return this.#recorder.end();
  }

  #em(): EntityManager {
    return this.#deps.orm.em.fork();
  }

  /** Whether nobody's message began it is in the history only. */
  #onEvent(event: GatewayEvent): void {
    if (event.kind !== 'final' || isTurnKey(event.runId) || event.text === '') return;
    const { sessionKey } = event;
    if (agentOfConversation(sessionKey) !== null) this.#recorder.runOnce(sessionKey, () => this.#readConversation(sessionKey));
  }

  async #readConversation(sessionKey: string): Promise<void> {
    const gatewayAgentId = agentOfConversation(sessionKey);
    if (gatewayAgentId === null) return;
    const { makeId, clock, maxStoredBytes } = this.#deps;
    const instanceId = this.#instanceId;
    const history = await readHistory(this.#client, { sessionKey, keys: [], signal: this.#recorder.signal });
    const runs = unpromptedRuns(history, isTurnKey);
    const recorded = await findRecorded(
      this.#em(),
      instanceId,
      runs.map(({ runId }) => runOccurrence(runId)),
    );
    const conversationId = conversationIdOf(sessionKey);
    for (const { runId, text, finishReason, atMs } of runs) {
      if (recorded.has(runOccurrence(runId))) continue;
      const saidAt = atMs === null ? null : new Date(atMs);
      const message = { instanceId, gatewayAgentId, runId, conversationId, saidAt, content: text, finishReason };
      await runTransaction(this.#deps.orm.em, (em) => recordUnprompted(em, message, { makeId, now: clock(), maxStoredBytes }));
    }
  }

  async #readBack(): Promise<void> {
    const readTo = await messagesReadTo(this.#em(), this.#instanceId);
    const sessions = await listSessionsSince(this.#client, readTo === null ? 0 : readTo - LATE_MS);
    for (const { sessionKey } of sessions) {
      if (this.#recorder.isOver()) return;
      await this.#readConversation(sessionKey);
    }
    const newestMs = Math.max(0, ...sessions.map(({ updatedAtMs }) => updatedAtMs));
    if (newestMs > 0) await noteMessagesRead(this.#em(), this.#instanceId, new Date(newestMs));
  }
}

function isTurnKey(runId: string): boolean {
  return runId.startsWith('msg_');
}

/** The agent whose conversation it is; null for a session of a job, or of a helper that an agent started. */
function agentOfConversation(sessionKey: string): string | null {
  return /^agent:([^:]+):(?:main|conv:[^:]+)$/.exec(sessionKey)?.[1] ?? null;
}
