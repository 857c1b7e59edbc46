import type { Notifications } from '../database/notifications.ts';
import { claimAttempt, findClaimedTurn } from '../database/messages/claim-turn.ts';
import { getTurn } from '../database/messages/find-turn.ts';
import type { TurnView } from '../database/messages/find-turn.ts';
import { findPendingTurn, findProgress, listHeadsOf } from '../database/messages/pending-turns.ts';
import { AppError } from '../domain/errors.ts';
import type { GatewayConnections } from '../runtime/gateway-connections.ts';
import type { ProcessLease } from './process-lease.ts';
import { SentTurn } from './sent-turn.ts';
import { hearTurn } from './hear-turn.ts';
import type { ReplyPlace } from './conversation/reply-place.ts';
import type { PendingTurn } from '../database/messages/pending-turns.ts';
import { TurnClaim } from './turn-claim.ts';
import type { TurnDeps } from './turn-deps.ts';
import { TurnFeed } from './turn-feed.ts';
import type { ReplyPiece, StepPiece } from './turn-feed.ts';

export type { TurnView } from '../database/messages/find-turn.ts';

export interface FollowedTurn {
  /**
   * The answer in pieces, as the gateway sends them; ends with the turn. Throws NoReplyError `not_continued` when the
   * reply does not continue what was sent.
   */
  deltas: AsyncIterable<ReplyPiece>;
  /** The same with what the agent does meanwhile, as this process hears it: see streamReply for all of it. */
  activity: AsyncIterable<ReplyPiece | StepPiece>;
  /** The turn once it has ended, its end committed; null when it was deleted. See errorOfTurn. */
  ended: Promise<TurnView | null>;
  /** It is followed since it was accepted, so that `activity` has all of its steps. */
  isNew?: boolean;
  /** For a client that went away. The turn goes on. */
  close(): void;
}

export interface TurnSender {
  /** The owner under which this process accepts turns. Throws AppError `unavailable` while this process may own nothing. */
  owner(): string;
  /**
   * Sends the accepted turn now if it is the head of its conversation, else when it has become that. Call it after the
   * commit, with what acceptTurn said.
   */
  send(messageId: string, accepted?: { claim?: TurnClaim | null }): void;
  /** Any turn, whichever process owns it, after this place of its reply. */
  follow(messageId: string, after?: ReplyPlace): FollowedTurn;
  /** Sends nothing any more. What runs goes on; another process takes it over once the lease is given back. */
  stop(): Promise<void>;
}

interface Deps extends TurnDeps {
  connections: GatewayConnections;
  lease: ProcessLease;
  notifications: Notifications;
}

const LOOK_MS = 1_000;

/** Sends the turns that this process has accepted, and lets clients of this process follow any turn. */
export function createTurnSender(deps: Deps): TurnSender {
  const sender = new Sender(deps);
  return {
    owner: () => sender.owner(),
    send: (messageId, accepted) => sender.send(messageId, accepted),
    follow: (messageId, after) => sender.follow(messageId, after),
    stop: () => sender.stop(),
  };
}

interface Entry {
  feed: TurnFeed;
  followers: number;
  /** While this process sends the turn. */
  sent?: SentTurn;
}

class Sender {
  readonly #deps: Deps;
  readonly #entries = new Map<string, Entry>();
  readonly #sending = new Map<string, Promise<void>>();
  /** Turns that are followed in this process and sent by another one. */
  readonly #heard = new Map<string, { done: Promise<void>; end: AbortController }>();
  /** Accepted here, not yet sent: the end of another turn may make them heads. */
  readonly #unsent = new Set<string>();
  /** Asked for while it is being sent, by a call that may have looked too early. */
  readonly #askedAgain = new Set<string>();
  readonly #stopping = new AbortController();
  readonly #unsubscribe: () => void;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();

  constructor(deps: Deps) {
    this.#deps = deps;
    this.#unsubscribe = deps.notifications.on('turn', (payload) => this.#onTurnEnded(payload));
    this.#lookLater();
  }

  owner(): string {
    const id = this.#stopping.signal.aborted ? null : this.#deps.lease.id();
    if (id === null)
      throw new AppError('unavailable', 'The service does not accept messages at the moment. Try again.', {
        retryAfterSeconds: 5,
      });
    return id;
  }

  send(messageId: string, { claim = null }: { claim?: TurnClaim | null } = {}): void {
    if (this.#stopping.signal.aborted) return;
    if (this.#sending.has(messageId)) return void this.#askedAgain.add(messageId);
    const done = this.#sendTurn(messageId, claim)
      .catch((err: unknown) => this.#deps.log.warn({ err, messageId }, 'could not send a turn yet'))
      .finally(() => {
        this.#sending.delete(messageId);
        if (this.#askedAgain.delete(messageId) && this.#unsent.has(messageId)) this.send(messageId);
        this.#tidy(messageId);
        // Another process may own the turn now: this look goes on feeding the clients that follow it here, or ends their feed.
        if (this.#entries.has(messageId)) this.#lookNow([messageId]);
      });
    this.#sending.set(messageId, done);
  }

  follow(messageId: string, after?: ReplyPlace): FollowedTurn {
    const known = this.#entries.get(messageId);
    const entry = known ?? this.#open(messageId);
    entry.followers += 1;
    // It may have ended before we listened.
    if (!known && !this.#sending.has(messageId)) this.#lookNow([messageId]);
    let open = true;
    return {
      deltas: entry.feed.deltas(after),
      activity: entry.feed.activity(after),
      ended: entry.feed.ended,
      close: () => {
        if (!open) return;
        open = false;
        entry.followers -= 1;
        this.#tidy(messageId);
      },
    };
  }

  async stop(): Promise<void> {
    this.#unsubscribe();
    clearTimeout(this.#timer);
    this.#stopping.abort(new Error('This process is stopping'));
    await Promise.all([this.#looking, ...this.#sending.values(), ...[...this.#heard.values()].map(({ done }) => done)]);
  }

  async #sendTurn(messageId: string, accepted: TurnClaim | null): Promise<void> {
    const { orm, lease } = this.#deps;
    const owner = lease.id();
    this.#unsent.add(messageId);
    if (owner === null) return;
    const claim =
      accepted?.turn.owner === owner && accepted.isFresh() ? accepted : await this.#claim(messageId, owner, accepted !== null);
    const turn = claim?.turn ?? (await this.#findLeftOver(messageId, owner));
    if (!turn) return;
    this.#unsent.delete(messageId);
    const entry = this.#entries.get(messageId) ?? this.#open(messageId);
    this.#heard.get(messageId)?.end.abort();
    const claimant = { kind: 'process', owner } as const;
    entry.sent = new SentTurn({ ...this.#deps, claimant, turn, claim, feed: entry.feed, signal: this.#stopping.signal });
    const stored = await entry.sent.run();
    if (entry.feed.hasEnded || this.#stopping.signal.aborted) return;
    const ended = stored ?? (await getTurn(orm.em.fork(), messageId));
    if (ended?.status !== 'pending') entry.feed.end(ended);
  }

  /** Claims the first attempt of a turn, or finds that it was claimed when it was accepted; null when it may not be sent now. */
  async #claim(messageId: string, owner: string, isClaimed: boolean): Promise<TurnClaim | null> {
    const em = this.#deps.orm.em.fork();
    const begunAt = performance.now();
    const turn = isClaimed
      ? await findClaimedTurn(em, { messageId, owner })
      : await claimAttempt(em, { messageId, attempt: 0, next: 1, claimant: { kind: 'process', owner } });
    return turn && new TurnClaim(turn, begunAt);
  }

  /** Listens to a turn that another process has sent, while a client follows it in this process. The next look does it again. */
  #hear(messageId: string, entry: Entry): void {
    if (entry.followers === 0 || this.#sending.has(messageId) || this.#heard.has(messageId)) return;
    const { log } = this.#deps;
    const end = new AbortController();
    const signal = AbortSignal.any([end.signal, this.#stopping.signal]);
    const done = hearTurn({ ...this.#deps, messageId, feed: entry.feed, signal })
      .catch((err: unknown) => log.debug({ err, messageId }, 'could not listen to a turn yet'))
      .finally(() => this.#heard.delete(messageId));
    this.#heard.set(messageId, { done, end });
  }

  /** A turn that this process claimed, but of which it lost the database's answer. Its gateway says whether it was sent. */
  async #findLeftOver(messageId: string, owner: string): Promise<PendingTurn | null> {
    const turn = await findPendingTurn(this.#deps.orm.em.fork(), messageId);
    return turn && turn.owner === owner && turn.attempt > 0 ? turn : null;
  }

  #open(messageId: string): Entry {
    const entry: Entry = { feed: new TurnFeed(messageId), followers: 0 };
    this.#entries.set(messageId, entry);
    return entry;
  }

  /** Forgets a turn that has ended, or that this process does not send and no client follows here. */
  #tidy(messageId: string): void {
    const entry = this.#entries.get(messageId);
    if (!entry) return;
    if (entry.followers === 0) this.#heard.get(messageId)?.end.abort();
    const isWanted = entry.followers > 0 || this.#sending.has(messageId);
    if (entry.feed.hasEnded || !isWanted) this.#entries.delete(messageId);
  }

  #onTurnEnded(payload: string | null): void {
    const replyId = payload?.split(' ')[0] ?? null;
    if (replyId !== null) this.#unsent.delete(replyId);
    const entry = replyId === null ? undefined : this.#entries.get(replyId);
    if (replyId === null) this.#lookNow();
    // The end that this process stores itself is not looked for.
    else if (entry && entry.sent?.isEnding !== true) this.#lookNow([replyId]);
    if (this.#unsent.size > 0) this.#soon(() => this.#sendHeads());
  }

  #lookNow(messageIds?: readonly string[]): void {
    this.#soon(() => this.#lookAt(messageIds ?? [...this.#entries.keys()]));
  }

  #soon(task: () => Promise<void>): void {
    if (this.#stopping.signal.aborted) return;
    task().catch((err: unknown) => this.#deps.log.debug({ err }, 'could not look for turns; trying again'));
  }

  #lookLater(): void {
    this.#timer = setTimeout(() => {
      this.#looking = Promise.all([this.#sendHeads(), this.#lookAt([...this.#entries.keys()])])
        .then(() => undefined)
        .catch((err: unknown) => this.#deps.log.warn({ err }, 'could not look for turns; trying again'))
        .finally(() => {
          if (!this.#stopping.signal.aborted) this.#lookLater();
        });
    }, LOOK_MS);
  }

  async #sendHeads(): Promise<void> {
    const owner = this.#deps.lease.id();
    if (owner === null) return;
    const heads = await listHeadsOf(this.#deps.orm.em.fork(), owner);
    for (const messageId of heads) if (!this.#sending.has(messageId)) this.send(messageId);
  }

  /** Ends the feeds of these turns where they have ended, and listens to those that other processes have sent. */
  async #lookAt(messageIds: readonly string[]): Promise<void> {
    if (messageIds.length === 0) return;
    const em = this.#deps.orm.em.fork();
    const { ended, sent } = await findProgress(em, messageIds);
    for (const messageId of sent) {
      const entry = this.#entries.get(messageId);
      if (entry) this.#hear(messageId, entry);
    }
    for (const messageId of ended) {
      const entry = this.#entries.get(messageId);
      if (!entry || entry.feed.hasEnded) continue;
      entry.feed.end(await getTurn(em, messageId));
      this.#unsent.delete(messageId);
      this.#tidy(messageId);
    }
  }
}
