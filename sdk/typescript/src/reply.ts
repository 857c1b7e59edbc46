import { isObject, ThermidoraError } from './errors.ts';
import { followEvents, parseEvent } from './events.ts';
import type { Connection } from './events.ts';
import type { Message, Step } from './generated/resources.ts';
import { segment } from './resource.ts';
import type { Call, Transport } from './transport.ts';
import type { BodyOf, CallOptions } from './types.ts';

/** How long the client keeps asking for the answer of a message: a turn may take half an hour. */
const LONGEST_TURN_MS = 35 * 60_000;

/** A part of a streamed reply: a step when it begins and when it has ended, where the call asks to `include` steps. */
export type ReplyPart =
  | { type: 'text'; text: string }
  | { type: 'step'; step: Step }
  | { type: 'end'; finishReason: string; usage: unknown };

/** The path of the messages of an agent. */
export function messagesPath(instanceId: string, agentId: string): string {
  return `/instances/${segment(instanceId)}/agents/${segment(agentId)}/messages`;
}

/** Where a reply comes from: the message that is sent, or the reply that is known, after a frame of it. */
export type ReplySource = { path: string; options: CallOptions } & (
  | { body: BodyOf<'messages.send'> }
  | { messageId: string; after: string | undefined; include: 'steps' | undefined }
);

/**
 * A reply as it is written. `for await` goes through its parts, `text()` through its words alone. When the connection is lost,
 * the reply goes on with the next word: the message is sent once, however often the client connects.
 */
export class Reply implements AsyncIterable<ReplyPart> {
  /** The id of the reply, once its first part has come. */
  messageId: string | undefined;
  readonly #http: Transport;
  readonly #path: string;
  readonly #options: CallOptions;
  /** Null for a reply that is known. */
  readonly #call: Call | null;
  readonly #include: 'steps' | undefined;
  #lastId: string | undefined;
  /** The steps that were answered, as they were then: a connection begins with all of them. */
  readonly #steps = new Map<string, string>();
  #said = '';
  #hasEnded = false;
  /** How much of `#said` the current connection has repeated. */
  #at = 0;

  constructor(http: Transport, source: ReplySource) {
    const { path, options } = source;
    this.#http = http;
    this.#path = path;
    this.#options = options;
    this.#call = 'body' in source ? http.withKey({ body: { ...source.body, stream: true }, takesKey: true, options }) : null;
    this.#include = 'body' in source ? source.body.include?.[0] : source.include;
    if ('body' in source) return;
    this.messageId = source.messageId;
    this.#lastId = source.after;
  }

  /** The parts of the reply. Throws the AgentError of a turn that failed. */
  async *[Symbol.asyncIterator](): AsyncGenerator<ReplyPart, void, undefined> {
    const waitMs = this.#options.timeoutMs ?? LONGEST_TURN_MS;
    for await (const { data, event, id } of followEvents(this.#http, () => this.#connect(), waitMs)) {
      if (id !== undefined) this.#lastId = id;
      if (data === '[DONE]') return;
      const value = parseEvent(data);
      if (event === undefined) yield* this.#partsOf(value);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API keeps what its reference says
      else if (event === 'step') yield* this.#newStep(value as Step);
    }
  }

  *#newStep(step: Step): Generator<ReplyPart> {
    const known = this.#steps.get(step.stepId);
    if (known === 'ended' || known === step.status) return;
    this.#steps.set(step.stepId, step.status);
    yield { type: 'step', step };
  }

  /** The words of the reply as they come. */
  async *text(): AsyncGenerator<string, void, undefined> {
    for await (const part of this) if (part.type === 'text') yield part.text;
  }

  /** Waits for the end of the reply, and answers it as the API has stored it. */
  async message(): Promise<Message> {
    const parts = this[Symbol.asyncIterator]();
    while (!this.#hasEnded && !(await parts.next()).done);
    if (this.messageId === undefined) throw new ThermidoraError('The reply ended without a part.');
    return this.#http.json('GET', `${this.#path}/${segment(this.messageId)}`, { options: this.#options });
  }

  /** Frames that carry an id can be gone on from; without, the message is sent again under its key and what is known skipped. */
  #connect(): Connection {
    if (this.#lastId === undefined) this.#at = 0;
    if (this.#call && (this.#lastId === undefined || this.messageId === undefined))
      return { method: 'POST', path: this.#path, call: this.#call };
    const headers = this.#lastId === undefined ? {} : { 'last-event-id': this.#lastId };
    const path = `${this.#path}/${segment(this.messageId ?? '')}/stream`;
    const query = this.#include && { query: { include: this.#include } };
    return { method: 'GET', path, call: { headers, ...query, options: this.#options } };
  }

  *#partsOf(chunk: unknown): Generator<ReplyPart> {
    if (!isObject(chunk)) return;
    if (typeof chunk['id'] === 'string') this.messageId = chunk['id'];
    const choice: unknown = Array.isArray(chunk['choices']) ? chunk['choices'][0] : null;
    if (!isObject(choice)) return;
    const text = isObject(choice['delta']) ? choice['delta']['content'] : null;
    const fresh = typeof text === 'string' ? this.#notYetSaid(text) : '';
    if (fresh !== '') yield { type: 'text', text: fresh };
    if (typeof choice['finish_reason'] !== 'string') return;
    this.#hasEnded = true;
    yield { type: 'end', finishReason: choice['finish_reason'], usage: chunk['usage'] ?? null };
  }

  #notYetSaid(text: string): string {
    const known = this.#said.slice(this.#at, this.#at + text.length);
    if (!text.startsWith(known))
      throw new ThermidoraError(
        `The reply ${this.messageId ?? ''} was generated anew while it was streamed. Get the whole of it with messages.get.`,
      );
    this.#at += text.length;
    const fresh = text.slice(known.length);
    this.#said += fresh;
    return fresh;
  }
}
