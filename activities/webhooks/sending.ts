import { setTimeout as sleep } from 'node:timers/promises';
import { findWaiting, handOverDrain, holdDrain, releaseDrain } from '../../database/webhooks/drain-webhook.ts';
import { findDueDeliveries, findOldestDelivery } from '../../database/webhooks/find-due-deliveries.ts';
import type { DueDelivery, Endpoint } from '../../database/webhooks/find-due-deliveries.ts';
import { recordAttempts, recordHealth } from '../../database/webhooks/record-attempts.ts';
import { runTransaction } from '../../database/run-transaction.ts';
import { isProbed } from '../../domain/webhooks/webhook-health.ts';
import { AutoResetEvent } from '../../lib/async/auto-reset-event.ts';
import { attemptDelivery } from './attempt-delivery.ts';
import type { MadeAttempt } from './attempt-delivery.ts';
import type { DeliveryDeps } from './delivery-deps.ts';
import type { SendingResult } from './sending-result.ts';

/** How many requests to one endpoint are open at once. */
const CONCURRENCY = 64;
/** How many are in memory at once, and how many bytes of bodies. One body is always among them. */
const WINDOW = 256;
const BODIES_BYTES = 8 * 1024 ** 2;
const BUSY_MS = 5 * 60_000;
const LINGER_MS = 5_000;
const LOOK_MS = 1_000;
/** Renewed thrice in its time. */
const HOLD_MS = 15_000;
const RENEW_MS = 5_000;
/** While much is under way, attempts that end within this are written down together. */
const GATHER_MS = 25;
/** How long requests may take to end when this worker is about to. */
const DRAIN_MS = 2_000;

const NOTHING_LEFT: SendingResult = { accountId: '', waiting: 0, failures: 0, nextInMs: null, isHandedOver: false };

/** One round of sending to one endpoint. */
export class Sending {
  readonly #deps: DeliveryDeps;
  readonly #webhookId: string;
  /** A delivery has been queued or has ended. */
  readonly #news = new AutoResetEvent();
  readonly #cut = new AbortController();
  readonly #cancellation: AbortSignal;
  /** A cancellation, or the drain of this worker. */
  readonly #ending: AbortSignal;
  readonly #unsubscribe: () => void;
  /** Fetched, under way, or ended and not yet written down, with the bytes of their bodies. */
  readonly #known = new Map<string, number>();
  #bytes = 0;
  readonly #open = new Set<Promise<void>>();
  #queue: { endpoint: Endpoint; delivery: DueDelivery }[] = [];
  #ended: MadeAttempt[] = [];
  /** How many of them failed since the last success. */
  #streak = 0;
  #endpoint: Endpoint | null = null;
  #failure: { error: unknown } | null = null;
  /** Its failures are not known to be none. */
  #isSuspect = false;
  #renewDueAt = 0;
  #lastWorkAt: number;

  constructor(deps: DeliveryDeps, webhookId: string, cancellation: AbortSignal) {
    this.#deps = deps;
    this.#webhookId = webhookId;
    this.#cancellation = cancellation;
    this.#ending = AbortSignal.any([cancellation, deps.drain]);
    this.#lastWorkAt = deps.monotonicMs();
    this.#unsubscribe = deps.notifications.on('webhook', (payload) => {
      if (payload === null || payload === webhookId) this.#news.set();
    });
  }

  async run(): Promise<SendingResult> {
    const { monotonicMs, drain, busyMs = BUSY_MS } = this.#deps;
    const busyUntil = monotonicMs() + busyMs;
    for (;;) {
      this.#cancellation.throwIfAborted();
      if (this.#failure) throw this.#failure.error;
      if (drain.aborted || monotonicMs() >= busyUntil) return this.#handOver();
      await this.#renew();
      this.#news.reset();
      const [endpoint] = await Promise.all([this.#sendDue(), this.#writeDown()]);
      if (!endpoint) return NOTHING_LEFT;
      if (this.#known.size > 0) this.#lastWorkAt = monotonicMs();
      else if (monotonicMs() - this.#lastWorkAt >= (isListening(endpoint) ? LINGER_MS : 0)) {
        const result = await this.#end();
        if (result) return result;
        continue;
      }
      await this.#pause();
    }
  }

  /** Cuts what is still under way: it is sent again. */
  async stop(): Promise<void> {
    this.#unsubscribe();
    this.#cut.abort();
    await Promise.all(this.#open);
  }

  async #renew(): Promise<void> {
    const { orm, monotonicMs } = this.#deps;
    if (monotonicMs() < this.#renewDueAt) return;
    this.#renewDueAt = monotonicMs() + RENEW_MS;
    await holdDrain(orm.em.fork(), this.#webhookId, HOLD_MS);
  }

  /** Fetches and begins to send as much as there is room for. Null when there is no such webhook any more. */
  async #sendDue(): Promise<Endpoint | null> {
    if (this.#endpoint && this.#isSupplied()) return this.#endpoint;
    const em = this.#deps.orm.em.fork();
    const question = { webhookId: this.#webhookId, except: [...this.#known.keys()] };
    const room = { limit: WINDOW - this.#queue.length, bytes: BODIES_BYTES - this.#bytes };
    const found = await findDueDeliveries(em, { ...question, ...room });
    if (!found) return null;
    const { endpoint, due } = found;
    this.#endpoint = endpoint;
    this.#isSuspect ||= endpoint.failures > 0;
    for (const delivery of due) this.#enqueue(endpoint, delivery);
    // One at a time, to see whether it is back.
    if (endpoint.enabled && isProbed(endpoint) && !endpoint.isResting && this.#known.size === 0) {
      const oldest = await findOldestDelivery(em, question);
      if (oldest) this.#enqueue(endpoint, oldest);
    }
    this.#sendQueued();
    return endpoint;
  }

  /** Enough waits here, or there is little room for more. */
  #isSupplied(): boolean {
    return this.#queue.length > WINDOW / 2 || this.#bytes > BODIES_BYTES / 2;
  }

  #enqueue(endpoint: Endpoint, delivery: DueDelivery): void {
    const bytes = Buffer.byteLength(delivery.body);
    this.#known.set(delivery.id, bytes);
    this.#bytes += bytes;
    this.#queue.push({ endpoint, delivery });
  }

  #sendQueued(): void {
    while (this.#open.size < CONCURRENCY) {
      const next = this.#queue.shift();
      if (!next) return;
      this.#send(next.endpoint, next.delivery);
    }
  }

  #forgetDelivery(id: string): void {
    this.#bytes -= this.#known.get(id) ?? 0;
    this.#known.delete(id);
  }

  /** What was fetched and not begun is left for later. */
  #dropQueue(): void {
    for (const { delivery } of this.#queue) this.#forgetDelivery(delivery.id);
    this.#queue = [];
  }

  #send(endpoint: Endpoint, delivery: DueDelivery): void {
    const attempt = attemptDelivery(this.#deps, endpoint, delivery, this.#cut.signal)
      .then(
        (made) => {
          this.#ended.push(made);
          this.#streak = made.outcome?.result === 'succeeded' ? 0 : this.#streak + 1;
          // Its rest, or its probes, may have begun.
          if (isProbed({ failures: this.#streak }) || made.outcome?.result === 'gone' || made.outcome?.retryAfterMs)
            this.#dropQueue();
        },
        (error: unknown) => {
          this.#forgetDelivery(delivery.id);
          if (!this.#cut.signal.aborted) this.#failure ??= { error };
        },
      )
      .finally(() => {
        this.#open.delete(attempt);
        if (!this.#cut.signal.aborted) this.#sendQueued();
        this.#news.set();
      });
    this.#open.add(attempt);
  }

  async #writeDown(): Promise<void> {
    const { orm, random, makeId, clock, log } = this.#deps;
    const made = this.#ended;
    if (made.length === 0) return;
    this.#ended = [];
    const outcomes = made.flatMap(({ outcome }) => (outcome ? [outcome] : []));
    const ended = made.map((attempt) => attempt.ended);
    const isNoNews = !this.#isSuspect && outcomes.every(({ result }) => result === 'succeeded');
    if (isNoNews) await recordAttempts(orm.em.fork(), ended);
    else {
      const change = await runTransaction(orm.em, async (em) => {
        await recordAttempts(em, ended);
        return recordHealth(em, this.#webhookId, outcomes, { random, makeId, now: clock() });
      });
      this.#isSuspect = (change?.failures ?? 0) > 0;
      if (change?.disable) log.warn({ webhookId: this.#webhookId, reason: change.disable }, 'a webhook was disabled');
    }
    for (const { deliveryId } of ended) this.#forgetDelivery(deliveryId);
  }

  /** Null when something is due after all. */
  async #end(): Promise<SendingResult | null> {
    const { orm } = this.#deps;
    this.#renewDueAt = 0;
    await releaseDrain(orm.em.fork(), this.#webhookId);
    const left = await findWaiting(orm.em.fork(), this.#webhookId);
    if (left?.nextInMs === 0) return null;
    return left ? resultOf(left, false) : NOTHING_LEFT;
  }

  /** Ends although more may be due: a new run goes on with it. */
  async #handOver(): Promise<SendingResult> {
    const { orm, drain } = this.#deps;
    this.#renewDueAt = 0;
    await this.#renew();
    this.#dropQueue();
    const settled = Promise.all(this.#open);
    await (drain.aborted ? Promise.race([settled, sleep(DRAIN_MS, undefined, { ref: false })]) : settled);
    await this.#writeDown();
    const left = await findWaiting(orm.em.fork(), this.#webhookId);
    if (left?.nextInMs !== 0) {
      const result = await this.#end();
      if (result) return result;
    }
    await runTransaction(orm.em, (em) => handOverDrain(em, this.#webhookId));
    return left ? resultOf(left, true) : NOTHING_LEFT;
  }

  /** Until something has ended or begun, at most until the next look. */
  async #pause(): Promise<void> {
    await this.#news.wait(LOOK_MS, this.#ending);
    if (this.#known.size >= CONCURRENCY) await sleep(GATHER_MS);
  }
}

/** Whether what comes in may be sent at once, so that listening for it saves something. */
function isListening(endpoint: Endpoint): boolean {
  return endpoint.enabled && !endpoint.isResting && !isProbed(endpoint);
}

function resultOf(
  { accountId, waiting, failures, nextInMs }: Omit<SendingResult, 'isHandedOver'>,
  isHandedOver: boolean,
): SendingResult {
  return { accountId, waiting, failures, nextInMs, isHandedOver };
}
