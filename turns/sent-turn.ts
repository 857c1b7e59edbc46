import { setTimeout as sleep } from 'node:timers/promises';
import { isDatabaseRefusal } from '../database/failure-kind.ts';
import type { Claimant } from '../database/messages/claim-turn.ts';
import { findPendingTurn } from '../database/messages/pending-turns.ts';
import type { TurnView } from '../database/messages/find-turn.ts';
import type { PendingTurn } from '../database/messages/pending-turns.ts';
import type { Gateway } from '../runtime/gateway/gateway.ts';
import type { GatewayEvent } from '../runtime/gateway/gateway-events.ts';
import { isClosedSession } from '../runtime/gateway/turn-results.ts';
import type { ClosedSession, TurnOutcome, TurnResult } from '../runtime/gateway/turn-results.ts';
import { endTurn, endTurnFirst } from './end-turns.ts';
import type { GatewayConnections } from '../runtime/gateway-connections.ts';
import { pauseAfter, reportFlood, reportRefusal, reportUnbegun } from './report-refusal.ts';
import { sendFirst, settleTurn } from './settle-turn.ts';
import type { Settled } from './settle-turn.ts';
import type { TurnClaim } from './turn-claim.ts';
import type { TurnDeps } from './turn-deps.ts';
import { StepRecorder } from './steps/step-recorder.ts';
import { endOfOutcome, failedEnd } from './turn-end.ts';
import type { TurnFeed } from './turn-feed.ts';

export interface SentTurnDeps extends TurnDeps {
  connections: GatewayConnections;
  claimant: Extract<Claimant, { kind: 'process' }>;
  turn: PendingTurn;
  /** Null: it was claimed before, and its history says what became of it. */
  claim: TurnClaim | null;
  feed: TurnFeed;
  signal: AbortSignal;
}

const RETRY_MS = 500;
const MAX_REFUSALS = 6;

/** Brings one turn that this process has claimed to its end, over whatever connections that takes. */
export class SentTurn {
  readonly #deps: SentTurnDeps;
  #turn: PendingTurn;
  /** Null: something may have become of the turn. */
  #claim: TurnClaim | null;
  #runKey: string | null = null;
  #refusals = 0;
  /** When the gateway was first seen to have accepted the present attempt, by the monotonic clock; null: not yet. */
  #acceptedAt: number | null = null;
  /** The gateway has begun to work on it. */
  #hasBegun = false;
  /** What its conversation was refused for after the gateway had accepted the turn. */
  #reopen: ClosedSession | undefined;
  /** What was heard since the last look. */
  #heard: TurnResult | null = null;
  #wake = Promise.withResolvers<void>();
  readonly #steps: StepRecorder;
  #isEnding = false;
  #ended: TurnView | null = null;

  constructor(deps: SentTurnDeps) {
    this.#deps = deps;
    this.#turn = deps.turn;
    this.#claim = deps.claim;
    this.#steps = new StepRecorder({ ...deps, stores: true, onStep: (step) => deps.feed.tellStep(step) });
  }

  /** Whether it stores the end itself, or has stored it: `run` resolves then. */
  get isEnding(): boolean {
    return this.#isEnding;
  }

  /** Resolves when the turn has ended, has another owner, or this process stops: with the turn where it has stored the end itself. */
  async run(): Promise<TurnView | null> {
    try {
      await this.#run();
    } finally {
      await this.#steps.store();
    }
    return this.#ended;
  }

  async #run(): Promise<void> {
    const { signal, log } = this.#deps;
    while (!signal.aborted) {
      try {
        if (await this.#step()) return;
        const turn = await this.#reload();
        if (!turn) return;
        this.#turn = turn;
      } catch (err) {
        if (signal.aborted) return;
        const isRefused = isDatabaseRefusal(err);
        log[isRefused ? 'warn' : 'debug']({ err, messageId: this.#turn.messageId }, 'could not bring a turn further yet');
        // When the database refuses the values of an end, every retry would be refused as well.
        if (isRefused && (await this.#giveUp().catch(() => false))) return;
        await this.#pause(RETRY_MS);
      }
      this.#claim = null;
    }
  }

  /** One connection: sends or settles the turn and listens. True when it has ended. */
  async #step(): Promise<boolean> {
    const { connections, signal } = this.#deps;
    const gateway = await connections.get(this.#turn.runtimeId, signal);
    if (gateway.bootId !== this.#turn.bootId) {
      // This is another process of the gateway: the step that starts it decides about the turn.
      await this.#pause(RETRY_MS);
      return false;
    }
    this.#steps.forgetSecrets();
    const unsubscribe = gateway.follow((event) => this.#onEvent(event));
    try {
      return await this.#follow(gateway);
    } finally {
      unsubscribe();
      if (gateway.flood) await reportFlood(this.#deps, { instanceId: this.#turn.instanceId, bootId: gateway.bootId });
    }
  }

  async #follow(gateway: Gateway): Promise<boolean> {
    let settled = await this.#settle(gateway);
    for (;;) {
      if (settled.kind === 'ended' || this.#deps.feed.hasEnded) return true;
      if (settled.kind === 'not-ours') {
        await this.#pause(RETRY_MS);
        return false;
      }
      if (settled.kind === 'running') {
        await this.#reportUnbegun(gateway, settled.hasBegun);
        await this.#listen(gateway, settled);
      } else {
        this.#acceptedAt = null;
        this.#hasBegun = false;
        if (settled.kind === 'refused' && (await this.#giveUp())) return true;
        await this.#pause(settled.retryAfterMs);
      }
      if (!gateway.isOpen() && this.#heard === null) return false;
      const reported = await this.#takeHeard(gateway);
      if (reported === 'ended') return true;
      settled = await this.#settle(gateway, reported);
    }
  }

  /** Reports for how long the gateway has accepted the turn without beginning it: the longer, the surer it is that it answers no turn. */
  async #reportUnbegun({ bootId }: Gateway, hasBegun: boolean): Promise<void> {
    this.#hasBegun ||= hasBegun;
    const now = performance.now();
    const isNew = this.#acceptedAt === null;
    this.#acceptedAt ??= now;
    if (isNew || this.#hasBegun) return;
    await reportUnbegun(this.#deps, this.#turn, bootId, now - this.#acceptedAt);
  }

  async #settle(gateway: Gateway, reported?: TurnOutcome): Promise<Settled> {
    const { claimant, signal } = this.#deps;
    const onResult = (result: TurnResult): void => this.#hear(result);
    const options = { claimant, signal, onResult, reopen: this.#reopen, ...(reported && { reported }) };
    this.#reopen = undefined;
    const isFresh = this.#claim?.isFresh() ?? false;
    this.#claim = null;
    if (isFresh) return sendFirst(this.#deps, gateway, this.#turn, options);
    // The attempt may have moved on while we settled before.
    const turn = await this.#reload();
    if (!turn) return { kind: 'not-ours' };
    this.#turn = turn;
    return settleTurn(this.#deps, gateway, turn, options);
  }

  /** Waits until the end of the turn is reported, the connection is gone, or no event has come for too long. */
  async #listen(gateway: Gateway, { runKey, textSoFar }: { runKey: string; textSoFar: string }): Promise<void> {
    this.#runKey = runKey;
    if (textSoFar !== '') this.#deps.feed.update(textSoFar);
    if (this.#heard) return;
    const done = new AbortController();
    const { pauses, signal } = this.#deps;
    const silenceMs = this.#hasBegun ? pauses.begunMs : pauses.unbegunMs;
    const silence = this.#pause(silenceMs, AbortSignal.any([done.signal, signal]));
    await Promise.race([this.#wake.promise, gateway.closed, this.#deps.feed.ended, silence]);
    done.abort();
  }

  #onEvent(event: GatewayEvent): void {
    if (!('runId' in event)) return;
    if (event.messageId !== this.#turn.messageId && event.runId !== this.#runKey) return;
    this.#hasBegun = true;
    if (event.kind === 'said') this.#deps.feed.update(event.text);
    if (event.kind === 'tool') this.#steps.hear(event.sign);
    if (event.kind === 'ended') this.#hear(event.result);
  }

  /** Keeps the first completed result; any other result is replaced by a later one. */
  #hear(result: TurnResult): void {
    if (this.#heard?.kind === 'done' && this.#heard.outcome.kind === 'completed') return;
    this.#heard = result;
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  /** Stores a completed reply as it was reported, and reports a refusal. For any other end the history is read. */
  async #takeHeard(gateway: Gateway): Promise<TurnOutcome | 'ended' | undefined> {
    const heard = this.#heard;
    if (heard?.kind !== 'done') {
      this.#heard = null;
      if (!heard) return undefined;
      await reportRefusal(this.#deps, this.#turn, gateway.bootId, heard.why);
      this.#reopen = isClosedSession(heard.why) ? heard.why : undefined;
      if ((this.#reopen || heard.why === 'invalid') && (await this.#giveUp())) return 'ended';
      await this.#pause(pauseAfter(heard.why, this.#deps));
      this.#forgetRefusal();
      return undefined;
    }
    if (heard.outcome.kind !== 'completed' || heard.outcome.text === '') {
      this.#heard = null;
      return heard.outcome;
    }
    await this.#steps.store();
    this.#isEnding = true;
    try {
      this.#ended = await endTurn(this.#deps, this.#turn.messageId, endOfOutcome(heard.outcome));
      return 'ended';
    } catch (error) {
      // It was not taken: it is tried again.
      this.#isEnding = false;
      throw error;
    }
  }

  /** Forgets the repetition of a refusal: the gateway reports one twice, by an event and by its second answer. */
  #forgetRefusal(): void {
    if (this.#heard?.kind === 'refused') this.#heard = null;
  }

  async #giveUp(): Promise<boolean> {
    this.#refusals += 1;
    if (this.#refusals < MAX_REFUSALS) return false;
    await endTurnFirst(this.#deps, this.#turn.messageId, failedEnd('agent_failed'));
    return true;
  }

  /** The turn as it stands; null when it has ended, or has another owner. */
  async #reload(): Promise<PendingTurn | null> {
    const { orm, claimant } = this.#deps;
    const turn = await findPendingTurn(orm.em.fork(), this.#turn.messageId);
    return turn?.owner === claimant.owner ? turn : null;
  }

  async #pause(ms: number, signal = this.#deps.signal): Promise<void> {
    await sleep(ms, undefined, { signal }).catch(() => undefined);
  }
}
