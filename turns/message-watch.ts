import type { EntityManager } from '@mikro-orm/postgresql';
import { findRecorded } from '../database/crons/crons.ts';
import { messagesReadTo, noteMessagesRead, recordUnprompted, runOccurrence } from '../database/messages/record-unprompted.ts';
import { runTransaction } from '../database/run-transaction.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import type { GatewayEvent, GatewaySession } from '../runtime/gateway/gateway-events.ts';
import type { TurnResult } from '../runtime/gateway/turn-results.ts';
import { Recorder } from './recorder.ts';
import type { TurnDeps } from './turn-deps.ts';

type Deps = Pick<TurnDeps, 'orm' | 'makeId' | 'clock' | 'log' | 'maxStoredBytes'>;

/** How long before the last reading of its conversation a run may have begun. */
const LATE_MS = 10 * 60_000;

/**
 * Records what the agents of one gateway say unprompted, over one connection: hears it, and reads back at once what was said
 * before it was connected. Replies to messages are recorded as turns, and results of jobs by CronWatch: neither is recorded here.
 */
export class MessageWatch {
  readonly #deps: Deps;
  readonly #instanceId: string;
  readonly #gateway: Gateway;
  readonly #recorder: Recorder;

  constructor(deps: Deps, instanceId: string, gateway: Gateway) {
    this.#deps = deps;
    this.#instanceId = instanceId;
    this.#gateway = gateway;
    this.#recorder = new Recorder({
      gateway,
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

  /** Reads the conversation of a run that no message of ours began. Only its history tells whether another message began the run. */
  #onEvent(event: GatewayEvent): void {
    if (event.kind !== 'ended' || event.messageId !== null || !saysSomething(event.result)) return;
    const { session } = event;
    if (session.agentOfConversation !== null) this.#recorder.runOnce(session.key, () => this.#readConversation(session));
  }

  async #readConversation(session: GatewaySession): Promise<void> {
    const { agentOfConversation: gatewayAgentId, conversationId } = session;
    if (gatewayAgentId === null) return;
    const { makeId, clock, maxStoredBytes } = this.#deps;
    const instanceId = this.#instanceId;
    const runs = await this.#gateway.turns.readUnprompted(session, this.#recorder.signal);
    const recorded = await findRecorded(
      this.#em(),
      instanceId,
      runs.map(({ runId }) => runOccurrence(runId)),
    );
    for (const { runId, text, finishReason, atMs } of runs) {
      if (recorded.has(runOccurrence(runId))) continue;
      const saidAt = atMs === null ? null : new Date(atMs);
      const message = { instanceId, gatewayAgentId, runId, conversationId, saidAt, content: text, finishReason };
      await runTransaction(this.#deps.orm.em, (em) => recordUnprompted(em, message, { makeId, now: clock(), maxStoredBytes }));
    }
  }

  async #readBack(): Promise<void> {
    const readTo = await messagesReadTo(this.#em(), this.#instanceId);
    const sessions = await this.#gateway.turns.sessionsSince(readTo === null ? 0 : readTo - LATE_MS);
    for (const { session } of sessions) {
      if (this.#recorder.isOver()) return;
      await this.#readConversation(session);
    }
    const newestMs = Math.max(0, ...sessions.map(({ updatedAtMs }) => updatedAtMs));
    if (newestMs > 0) await noteMessagesRead(this.#em(), this.#instanceId, new Date(newestMs));
  }
}

function saysSomething(result: TurnResult): boolean {
  return result.kind === 'done' && result.outcome.kind === 'completed' && result.outcome.text !== '';
}
