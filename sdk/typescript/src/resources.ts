import { isObject, ThermidoraError } from './errors.ts';
import { followEvents, parseEvent } from './events.ts';
import { EventsResource, InstancesResource, MessagesResource } from './generated/resources.ts';
import type { AccountEvent, DeletedEvent, Instance, Message } from './generated/resources.ts';
import { messagesPath, Reply } from './reply.ts';
import { pause } from './retries.ts';
import type { BodyOf, CallOptions, QueryOf } from './types.ts';

const LONGEST_WAIT_S = 60;
const START_LIMIT_MS = 10 * 60_000;
const BETWEEN_WAITS_MS = 500;
/** How long a call may take beyond the time that the API waits. */
const MARGIN_MS = 30_000;

/** An event of the stream of instances: the state of an instance, or that it was deleted. */
export type InstanceChange = Instance | { instanceId: string; deleted: true };

export class Instances extends InstancesResource {
  /**
   * Waits until an instance runs and answers it. Throws ThermidoraError when it cannot run any more (it failed, or was
   * stopped or deleted), or does not within `timeoutMs` (default: ten minutes).
   */
  async waitUntilRunning(instanceId: string, { timeoutMs = START_LIMIT_MS, ...options }: CallOptions = {}): Promise<Instance> {
    const until = Date.now() + timeoutMs;
    for (;;) {
      const timeout = Math.min(Math.max(Math.ceil((until - Date.now()) / 1_000), 0), LONGEST_WAIT_S);
      const instance = await this.wait(instanceId, { status: 'running', timeout }, options);
      const { status, desiredStatus, transition, statusReason } = instance;
      if (status === 'running' && transition === null) return instance;
      const why = statusReason === null ? '' : `: ${statusReason.message}`;
      if (desiredStatus !== 'running' || (status === 'error' && transition === null))
        throw new ThermidoraError(`${instanceId} will not run: its status is ${status}${why}`);
      if (Date.now() >= until) throw new ThermidoraError(`${instanceId} does not run yet: its status is ${status}${why}`);
      await pause(BETWEEN_WAITS_MS, options.signal);
    }
  }

  /**
   * Follows the state of your instances: each as it is, and again whenever it changes. After a lost connection all of them
   * are told anew. With `instanceId` it ends when that instance is gone; otherwise it goes on until you leave the loop.
   *
   * `GET /instances/stream`
   */
  async *stream(
    query: QueryOf<'instances.stream'> = {},
    options: CallOptions = {},
  ): AsyncGenerator<InstanceChange, void, undefined> {
    const connection = { method: 'GET', path: '/instances/stream', call: { query, options } };
    for await (const { data } of followEvents(this.http, () => connection)) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API keeps what its document says
      const change = parseEvent(data) as InstanceChange;
      yield change;
      if ('deleted' in change && change.instanceId === query.instanceId) return;
    }
  }
}

export class Messages extends MessagesResource {
  /**
   * Sends a message to an agent and waits for its reply. A call that is repeated after a lost connection is one message.
   * Throws AgentError when the turn failed, and ReplyTimeoutError when the reply takes longer than the body's `timeoutMs`
   * (default: two minutes): its turn goes on, and `messages.get` has it later.
   *
   * `POST /instances/{instanceId}/agents/{agentId}/messages`
   */
  override send(instanceId: string, agentId: string, body: BodyOf<'messages.send'>, options: CallOptions = {}): Promise<Message> {
    const longer = body.timeoutMs === undefined ? {} : { timeoutMs: body.timeoutMs + MARGIN_MS };
    return super.send(instanceId, agentId, body, { ...longer, ...options });
  }

  /**
   * Sends a message to an agent and answers its reply as it is written: `for await (const word of reply.text())`. The message
   * is sent when the loop begins.
   *
   * `POST /instances/{instanceId}/agents/{agentId}/messages`
   */
  sendAndStream(instanceId: string, agentId: string, body: BodyOf<'messages.send'>, options: CallOptions = {}): Reply {
    return new Reply(this.http, { path: messagesPath(instanceId, agentId), body, options });
  }

  /**
   * Answers a reply as it is written, or the whole of one that has ended: from its beginning, or after the frame with the id
   * `after`. For a message that another program has sent.
   *
   * `GET /instances/{instanceId}/agents/{agentId}/messages/{messageId}/stream`
   */
  stream(
    instanceId: string,
    agentId: string,
    messageId: string,
    { after, include }: { after?: string; include?: 'steps' } = {},
    options: CallOptions = {},
  ): Reply {
    return new Reply(this.http, { path: messagesPath(instanceId, agentId), messageId, after, include, options });
  }
}

export class Events extends EventsResource {
  /**
   * Follows the events of the account: those after the sequence number `after`, then each as it happens, without a gap and
   * each once, over lost connections, until you leave the loop.
   *
   * `GET /events/stream`
   */
  async *stream(
    { after = 0 }: { after?: number } = {},
    options: CallOptions = {},
  ): AsyncGenerator<AccountEvent | DeletedEvent, void, undefined> {
    let last = after;
    const connect = () => ({ method: 'GET', path: '/events/stream', call: { query: { after: last }, options } });
    for await (const { data } of followEvents(this.http, connect)) {
      const event = parseEvent(data);
      if (!isObject(event) || typeof event['seq'] !== 'number')
        throw new ThermidoraError('The API sent an event without its number.');
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- boundary: the API keeps what its document says
      yield event as AccountEvent | DeletedEvent;
      last = event['seq'];
    }
  }
}
