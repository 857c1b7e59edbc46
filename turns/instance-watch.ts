import { setTimeout as sleep } from 'node:timers/promises';
import type { EntityManager } from '@mikro-orm/postgresql';
import { isDatabaseRefusal } from '../database/failure-kind.ts';
import { listAbortDue, listAbortDueIn, markAbortDue } from '../database/messages/abort-due.ts';
import { claimAttempt } from '../database/messages/claim-turn.ts';
import type { Claimant } from '../database/messages/claim-turn.ts';
import { findPendingTurn, findTurnInFlight, listTurnsInFlight, SHARD_OWNER } from '../database/messages/pending-turns.ts';
import type { PendingTurn } from '../database/messages/pending-turns.ts';
import type { ConversationRemoval } from '../database/messages/conversations.ts';
import type { TurnDuty, WatchedInstance } from '../database/messages/watched-turns.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import type { GatewayEvent, GatewaySession, OfRun } from '../runtime/gateway/gateway-events.ts';
import { isClosedSession } from '../runtime/gateway/turn-results.ts';
import type { ClosedSession, RefusalReason, TurnOutcome, TurnResult } from '../runtime/gateway/turn-results.ts';
import { abortDueTurn } from './abort-turn.ts';
import { endTurn, endTurnFirst } from './end-turns.ts';
import { RecentSet } from './recent-set.ts';
import { removeConversation } from './remove-conversation.ts';
import { pauseAfter, reportRefusal, reportRefusedRun, reportSign, reportUnbegun } from './report-refusal.ts';
import { sendFirst, settleTurn } from './settle-turn.ts';
import type { Settled, SettleOptions } from './settle-turn.ts';
import { TurnTasks } from './turn-tasks.ts';
import type { TurnDeps } from './turn-deps.ts';
import { endOfOutcome, failedEnd } from './turn-end.ts';

const ABORT_AGAIN_MS = 2_000;
const REMOVE_AGAIN_MS = 5_000;
const MAX_REFUSALS = 6;
const RUNS_REMEMBERED = 1_000;
/** Pieces of work at once. Some wait for the gateway's answer: it runs eight turns, and runs of jobs beside them. */
const TURNS_AT_ONCE = 16;
/** For so long a turn is left to the process that has sent it: its clients wait for that one. */
const OWNER_ENDS_MS = 500;
/** After more was reported than can be taken. */
const AGAIN_MS = 5_000;

/**
 * Follows every turn of one instance over one connection to its gateway, for the holder of its shard: hears every
 * event, and reads back at once what happened before it was connected. Does nothing once the connection is closed, and
 * sends nothing once the shard has another holder.
 */
export class InstanceWatch {
  readonly instance: WatchedInstance;
  readonly #deps: TurnDeps;
  readonly #gateway: Gateway;
  readonly #claimant: Claimant;
  readonly #ending = new AbortController();
  readonly #unsubscribe: () => void;
  readonly #tasks: TurnTasks;
  readonly #seenRuns = new RecentSet(RUNS_REMEMBERED);
  /** Messages in whose turns tools were called. */
  readonly #usedTools = new RecentSet(RUNS_REMEMBERED);
  /** Turns that the holder of the shard sends, as those of a gateway that was started or woken. */
  readonly #own = new RecentSet(RUNS_REMEMBERED);
  /** When a turn is due for another look, and an ended one for another abort, by the monotonic clock. */
  readonly #lookAt = new Map<string, number>();
  readonly #abortAt = new Map<string, number>();
  /** When a deleted conversation is due for another try to remove it. */
  readonly #removeAt = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  /** What the conversation of a turn was refused for after the gateway had accepted it. */
  readonly #reopen = new Map<string, ClosedSession>();
  /** Since when a turn is known to be accepted and not begun. */
  readonly #unbegunSince = new Map<string, number>();
  #again: NodeJS.Timeout | undefined;

  constructor(deps: TurnDeps, instance: WatchedInstance, gateway: Gateway) {
    const { instanceId, shardEpoch } = instance;
    this.instance = instance;
    this.#deps = deps;
    this.#gateway = gateway;
    this.#claimant = { kind: 'shard', shardEpoch };
    this.#tasks = new TurnTasks({
      atOnce: TURNS_AT_ONCE,
      onFailure: (err, messageId) => {
        if (this.#ending.signal.aborted) return;
        const isRefused = isDatabaseRefusal(err);
        deps.log[isRefused ? 'warn' : 'debug']({ err, instanceId, messageId }, 'could not settle a turn yet');
        if (isRefused) this.#noteRefusal(messageId);
      },
      onOverflow: () => {
        this.#again ??= setTimeout(() => this.#readBackNow(), AGAIN_MS);
      },
    });
    this.#unsubscribe = gateway.follow((event) => this.#onEvent(event));
    this.#readBackNow();
  }

  /** Does what the database says is to be done. */
  attend(duties: readonly TurnDuty[]): void {
    const listed = new Set(duties.map(({ messageId }) => messageId));
    for (const known of [this.#lookAt, this.#abortAt, this.#refusals, this.#reopen, this.#unbegunSince])
      for (const messageId of known.keys()) if (!listed.has(messageId)) known.delete(messageId);
    for (const { messageId, duty } of duties) {
      if (this.#tasks.has(messageId)) continue;
      if (duty === 'time-out') this.#timeOut(messageId);
      else if (duty !== 'abort' && this.#isHopeless(messageId)) this.#giveUp(messageId);
      else if (duty === 'send') this.#send(messageId);
      else if (duty === 'follow' && isDue(this.#lookAt, messageId)) this.#settle(messageId);
      else if (duty === 'abort' && isDue(this.#abortAt, messageId)) this.#abort(messageId);
    }
  }

  /** Removes these conversations, which were deleted. */
  remove(removals: readonly ConversationRemoval[]): void {
    const listed = new Set(removals.map(({ conversationId }) => conversationId));
    for (const conversationId of this.#removeAt.keys()) if (!listed.has(conversationId)) this.#removeAt.delete(conversationId);
    for (const removal of removals) {
      const { conversationId } = removal;
      if (this.#tasks.has(conversationId) || !isDue(this.#removeAt, conversationId)) continue;
      this.#removeAt.set(conversationId, performance.now() + REMOVE_AGAIN_MS);
      this.#run(
        conversationId,
        async () => void (await removeConversation(this.#deps, this.#gateway, removal, this.#ending.signal)),
      );
    }
  }

  /** Resolves when nothing of it is under way any more. */
  async end(): Promise<void> {
    this.#unsubscribe();
    clearTimeout(this.#again);
    this.#ending.abort(new Error('The watch has ended'));
    await this.#tasks.idle();
  }

  #em(): EntityManager {
    return this.#deps.orm.em.fork();
  }

  #run(messageId: string, work: () => Promise<void>): void {
    this.#tasks.run(messageId, async () => {
      if (this.#gateway.isOpen() && !this.#ending.signal.aborted) await work();
    });
  }

  #onEvent(event: GatewayEvent): void {
    // A run of a job is refused like a turn, but may end without an `ended` event: its refusal comes with `cron-run`.
    if (event.kind === 'cron-run') {
      const { session, jobId } = event.run;
      if (event.refusal) this.#reportRefusedRun(session ?? { key: jobId, source: jobId }, event.refusal);
    }
    if (!('runId' in event)) return;
    if (event.kind === 'tool') {
      if (event.messageId !== null) this.#usedTools.add(event.messageId);
      if (event.toolsClosed) this.#reportToolsClosed(event);
      return;
    }
    if (event.kind === 'begun' || event.kind === 'said') return this.#noticeRun(event);
    if (event.kind !== 'ended') return;
    if (event.messageId !== null) this.#onResult(event.messageId, event.result);
    else this.#onResultOfOther(event.session, event.result);
  }

  /** Stores a completed reply as it was reported. For every other result the history is read first. */
  #onResult(messageId: string, result: TurnResult): void {
    if (result.kind === 'refused') {
      this.#lookAt.set(messageId, performance.now() + pauseAfter(result.why, this.#deps));
      return this.#run(messageId, async () => {
        const turn = await findPendingTurn(this.#em(), messageId);
        if (turn) await this.#takeRefusal(turn, result.why);
      });
    }
    const { outcome } = result;
    // What the agent did stands in the history, unless the turn's process has stored it.
    if (this.#usedTools.has(messageId)) this.#endIfLeft(messageId, () => this.#settle(messageId, outcome));
    else if (outcome.kind === 'completed' && outcome.text !== '')
      this.#endIfLeft(messageId, () => endTurn(this.#deps, messageId, endOfOutcome(outcome)));
    else this.#settle(messageId, outcome);
  }

  /** Leaves a turn of another process to that one for a moment; what has not ended then ends so. */
  #endIfLeft(messageId: string, end: () => unknown): void {
    this.#tasks.run(messageId, async () => {
      const { signal } = this.#ending;
      if (!this.#own.has(messageId)) await sleep(OWNER_ENDS_MS, undefined, { signal }).catch(() => undefined);
      if (await findPendingTurn(this.#em(), messageId)) await end();
    });
  }

  async #takeRefusal(turn: PendingTurn, why: RefusalReason): Promise<void> {
    const { messageId, owner } = turn;
    await reportRefusal(this.#deps, turn, this.#gateway.bootId, why);
    if (isClosedSession(why)) this.#reopen.set(messageId, why);
    // A turn of another owner is given up by its owner.
    if (owner === SHARD_OWNER && (isClosedSession(why) || why === 'invalid')) this.#noteRefusal(messageId);
  }

  /** The result of a run that is not a turn: the gateway's re-run of a turn, or a run of a job. */
  #onResultOfOther(session: GatewaySession, result: TurnResult): void {
    if (result.kind === 'refused') this.#reportRefusedRun(session, result.why);
    this.#settleRerun(session);
  }

  #reportRefusedRun({ key, source }: Pick<GatewaySession, 'key' | 'source'>, why: RefusalReason): void {
    const { instanceId } = this.instance;
    const run = { instanceId, bootId: this.#gateway.bootId, conversationId: source };
    this.#run(key, async () => void (await reportRefusedRun(this.#deps, run, why)));
  }

  /** Reports the sign for the whole process: the turn goes on without its tool, so no conversation is refused. */
  #reportToolsClosed({ session }: OfRun): void {
    const { instanceId } = this.instance;
    const refusal = { instanceId, bootId: this.#gateway.bootId, conversationId: null, sign: 'tools_closed' } as const;
    this.#run(session.key, async () => void (await reportSign(this.#deps, refusal)));
  }

  /** Settles a turn by the history. A turn of another owner may be ended here, but is never sent. */
  #settle(messageId: string, reported?: TurnOutcome): void {
    this.#run(messageId, async () => {
      const turn = await findPendingTurn(this.#em(), messageId);
      if (!turn || turn.attempt === 0 || turn.bootId !== this.#gateway.bootId) return;
      const options = { ...this.#options(turn), reopen: this.#reopen.get(messageId), ...(reported && { reported }) };
      this.#reopen.delete(messageId);
      await this.#noteSettled(turn, await settleTurn(this.#deps, this.#gateway, turn, options));
    });
  }

  #send(messageId: string): void {
    this.#run(messageId, async () => {
      const turn = await claimAttempt(this.#em(), { messageId, attempt: 0, next: 1, claimant: this.#claimant });
      if (!turn || turn.bootId !== this.#gateway.bootId) return;
      await this.#noteSettled(turn, await sendFirst(this.#deps, this.#gateway, turn, this.#options(turn)));
    });
  }

  #options({ messageId, owner }: PendingTurn): SettleOptions {
    if (owner === SHARD_OWNER) this.#own.add(messageId);
    return {
      claimant: owner === SHARD_OWNER ? this.#claimant : null,
      signal: this.#ending.signal,
      onResult: (result) => this.#onResult(messageId, result),
    };
  }

  async #noteSettled(turn: PendingTurn, settled: Settled): Promise<void> {
    const { messageId } = turn;
    if (settled.kind === 'ended') return;
    const isUnbegun = settled.kind === 'running' && !settled.hasBegun && !this.#seenRuns.has(settled.runKey);
    // A turn whose events went missing is looked up this often.
    const { begunMs, unbegunMs } = this.#deps.pauses;
    const lookAgainMs = isUnbegun ? unbegunMs : begunMs;
    const pauseMs = settled.kind === 'wait' || settled.kind === 'refused' ? settled.retryAfterMs : lookAgainMs;
    this.#lookAt.set(messageId, performance.now() + pauseMs);
    if (isUnbegun) return this.#reportUnbegun(turn);
    this.#unbegunSince.delete(messageId);
    if (settled.kind === 'refused') this.#noteRefusal(messageId);
  }

  /** By the gateway, or by the database of what was to be written. The next look gives up a turn with too many. */
  #noteRefusal(messageId: string): void {
    this.#refusals.set(messageId, (this.#refusals.get(messageId) ?? 0) + 1);
  }

  #isHopeless(messageId: string): boolean {
    return (this.#refusals.get(messageId) ?? 0) >= MAX_REFUSALS;
  }

  #giveUp(messageId: string): void {
    this.#run(messageId, async () => void (await endTurnFirst(this.#deps, messageId, failedEnd('agent_failed'))));
  }

  async #reportUnbegun(turn: PendingTurn): Promise<void> {
    const now = performance.now();
    const since = this.#unbegunSince.get(turn.messageId);
    if (since === undefined) this.#unbegunSince.set(turn.messageId, now);
    else await reportUnbegun(this.#deps, turn, this.#gateway.bootId, now - since);
  }

  #timeOut(messageId: string): void {
    this.#run(messageId, async () => {
      await endTurnFirst(this.#deps, messageId, failedEnd('turn_timeout'));
      await abortDueTurn(this.#deps, this.#gateway, messageId, this.#ending.signal);
    });
  }

  #abort(messageId: string): void {
    this.#abortAt.set(messageId, performance.now() + ABORT_AGAIN_MS);
    this.#run(messageId, () => abortDueTurn(this.#deps, this.#gateway, messageId, this.#ending.signal));
  }

  /** Has the gateway abort a run of a turn that we ended, at the run's first sign. */
  #noticeRun({ runId, messageId, session }: OfRun): void {
    if (!this.#seenRuns.add(runId)) return;
    if (messageId !== null)
      return this.#run(messageId, async () => {
        if (await markAbortDue(this.#em(), messageId)) this.#abort(messageId);
      });
    const { conversationId } = session;
    if (conversationId === null) return;
    this.#run(conversationId, async () => {
      for (const due of await listAbortDueIn(this.#em(), conversationId)) this.#abort(due.messageId);
    });
  }

  /** The gateway's own re-run of a turn ends as that turn, which the history proves. */
  #settleRerun({ conversationId }: GatewaySession): void {
    if (conversationId === null) return;
    this.#run(conversationId, async () => {
      const turn = await findTurnInFlight(this.#em(), conversationId);
      if (turn) this.#settle(turn.messageId);
    });
  }

  #readBackNow(): void {
    this.#again = undefined;
    if (!this.#ending.signal.aborted) this.#run(this.instance.instanceId, () => this.#readBack());
  }

  async #readBack(): Promise<void> {
    const { instanceId } = this.instance;
    for (const { messageId } of await listTurnsInFlight(this.#em(), instanceId)) this.#settle(messageId);
    for (const { messageId } of await listAbortDue(this.#em(), instanceId)) this.#abort(messageId);
  }
}

function isDue(times: ReadonlyMap<string, number>, messageId: string): boolean {
  return (times.get(messageId) ?? 0) <= performance.now();
}
