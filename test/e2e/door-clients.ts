import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import Anthropic, { APIError as AnthropicError } from '@anthropic-ai/sdk';
import { APIError as OpenaiError, OpenAI } from 'openai';
import type { ApiClient } from '../support/api-client.ts';
import type { Dice } from '../support/campaign.ts';
import { PATIENCE_MS } from '../support/eventually.ts';
import { insist } from '../support/patient-client.ts';
import { framesOf } from '../support/stream-reader.ts';

/** What a client knows of a turn of its own. */
export interface DoorTurn {
  /** What it said, as no other turn did. */
  said: string;
  /** The reply, in our own API. */
  messageId: string;
  /** What it received over all of its connections; null: it was told that there is no reply. */
  text: string | null;
}

export interface DoorPlace {
  url: string;
  apiKey: string;
  account: ApiClient;
  /** Of the agent: `/instances/.../agents/...`. */
  path: string;
  agentId: string;
}

/** Has one turn of its own conversation, whatever is killed meanwhile. */
export type DoorClient = (said: string) => Promise<DoorTurn>;

const AGAIN_MS = 200;
/** A client leaves its stream after so many pieces, as often as not. */
const PIECES = 6;
/** Of so many turns one is cancelled. */
const CANCELLED = 7;
/** What no repetition changes. */
const FINAL = new Set([400, 401, 402, 403, 404, 422, 502]);

/** Tries until it answers, or says that it never will. */
async function stubborn<T>(attempt: () => Promise<T>): Promise<T> {
  const giveUp = AbortSignal.timeout(2 * PATIENCE_MS);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const status: unknown = error instanceof OpenaiError || error instanceof AnthropicError ? error.status : undefined;
      if (giveUp.aborted || (typeof status === 'number' && FINAL.has(status))) throw error;
      await sleep(AGAIN_MS);
    }
  }
}

/** Throws, naming the turn, when it is asked after more time than any turn takes. */
function deadline(said: string): () => void {
  const giveUp = AbortSignal.timeout(2 * PATIENCE_MS);
  return () => {
    if (giveUp.aborted) throw new Error(`This turn did not end: ${said}`);
  };
}

/** Cancels this turn, or hears that it has ended already. */
function cancel(account: ApiClient, message: string): Promise<void> {
  return stubborn(async () => {
    const { status } = await account.call('POST', `${message}/cancel`);
    if (status !== 200 && status !== 409) throw new Error(`The cancellation answered ${status}`);
  });
}

/** Our own API: a message, and its stream that goes on after any frame. */
export function streamClient({ account, path }: DoorPlace, { below }: Dice): DoorClient {
  const sessionId = randomUUID();
  return async (said) => {
    const body = { message: said, sessionId, async: true };
    const { messageId } = (await insist(account, { method: 'POST', path: `${path}/messages`, body, key: randomUUID() })).body;
    const message = `${path}/messages/${messageId}`;
    if (below(CANCELLED) === 0) await cancel(account, message);
    let [text, after] = ['', ''];
    const requireTime = deadline(said);
    for (;;) {
      requireTime();
      const leavesAfter = below(2) === 0 ? below(PIECES) : Number.POSITIVE_INFINITY;
      let pieces = 0;
      try {
        const response = await account.raw('GET', `${message}/stream${after === '' ? '' : `?after=${after}`}`);
        // Before its first frame, an error is a plain answer.
        if (response.status === 502) return { said, messageId, text: null };
        if (!response.ok) throw new Error(`The stream answered ${response.status}`);
        for await (const { id, data } of framesOf(response)) {
          if (data === '[DONE]') return { said, messageId, text };
          const { choices, error } = JSON.parse(data);
          if (error?.code === 'agent_error') return { said, messageId, text: null };
          if (error) {
            // Another try of the turn says something else: what was received belongs to none.
            if (error.code === 'instance_not_ready') [text, after] = ['', ''];
            throw new Error(error.code);
          }
          text += choices[0]?.delta.content ?? '';
          after = id ?? after;
          if ((pieces += 1) > leavesAfter) break;
        }
      } catch {
        await sleep(AGAIN_MS);
      }
    }
  };
}

/** OpenAI's client: a response in the background, whose stream it leaves and comes back to. */
export function responseClient({ url, apiKey, agentId }: DoorPlace, { below }: Dice): DoorClient {
  const { responses } = new OpenAI({ apiKey, baseURL: `${url}/openai/v1`, maxRetries: 0 });
  let previous: string | undefined;
  return async (said) => {
    const request = { model: agentId, input: said, background: true, ...(previous && { previous_response_id: previous }) };
    const headers = { 'idempotency-key': randomUUID() };
    const { id } = await stubborn(() => responses.create({ ...request, stream: false }, { headers }));
    previous = id;
    const turn = { said, messageId: id.replace('resp_', '') };
    if (below(CANCELLED) === 0) await stubborn(() => responses.cancel(id)).catch(() => undefined);
    let [text, after] = ['', -1];
    const requireTime = deadline(said);
    for (;;) {
      requireTime();
      const leavesAfter = below(2) === 0 ? below(PIECES) : Number.POSITIVE_INFINITY;
      let pieces = 0;
      try {
        const stream = await responses.retrieve(id, { stream: true, ...(after >= 0 && { starting_after: after }) });
        for await (const event of stream) {
          if (event.type === 'response.output_text.delta') text += event.delta;
          if (event.type === 'response.completed') return { ...turn, text };
          if (event.type === 'response.failed') return { ...turn, text: null };
          after = event.sequence_number;
          if ((pieces += 1) > leavesAfter) break;
        }
      } catch (error) {
        // Another try of the turn says something else.
        if (error instanceof OpenaiError && error.code === 'instance_not_ready') [text, after] = ['', -1];
        await sleep(AGAIN_MS);
      }
    }
  };
}

/** OpenAI's client: a chat completion under a key, repeated until it is answered. */
export function chatClient({ url, apiKey, agentId }: DoorPlace): DoorClient {
  const { chat } = new OpenAI({ apiKey, baseURL: `${url}/openai/v1`, maxRetries: 0 });
  const sessionId = randomUUID();
  return async (said) => {
    const headers = { 'idempotency-key': randomUUID() };
    const messages = [{ role: 'user' as const, content: said }];
    try {
      const answer = await stubborn(() =>
        chat.completions.create({ model: agentId, messages, metadata: { sessionId } }, { headers }),
      );
      return { said, messageId: answer.id.replace('chatcmpl-', ''), text: answer.choices[0]?.message.content ?? '' };
    } catch (error) {
      const body: unknown = error instanceof OpenaiError ? error.error : null;
      if (typeof body === 'object' && body !== null && 'messageId' in body)
        return { said, messageId: String(body.messageId), text: null };
      throw error;
    }
  };
}

/** Anthropic's client: a session, whose stream it leaves and comes back to. No event may come twice. */
export async function sessionClient({ url, apiKey, path }: DoorPlace, { below }: Dice, claudeAgent: string): Promise<DoorClient> {
  const { sessions } = new Anthropic({ apiKey, baseURL: `${url}/anthropic`, maxRetries: 0 }).beta;
  const environment = `env_${/inst_([^/]+)/.exec(path)?.[1]}`;
  const headers = { 'idempotency-key': randomUUID() };
  const session = await stubborn(() => sessions.create({ agent: claudeAgent, environment_id: environment }, { headers }));
  const send = (event: Anthropic.Beta.Sessions.EventSendParams['events'][number]) => {
    const options = { headers: { 'idempotency-key': randomUUID() }, timeout: PATIENCE_MS };
    return stubborn(() => sessions.events.send(session.id, { events: [event] }, options));
  };
  return async (said) => {
    const sent = await send({ type: 'user.message', content: [{ type: 'text', text: said }] });
    const first = String(sent.data?.[0]?.id);
    const turn = { said, messageId: `msg_${/^sevt_([a-z0-9]+)_/.exec(first)?.[1]}` };
    if (below(CANCELLED) === 0) await send({ type: 'user.interrupt' });
    const seen = new Set([first]);
    let [after, text]: [string, string | null] = [first, null];
    const requireTime = deadline(said);
    for (;;) {
      requireTime();
      const leavesAfter = below(2) === 0 ? below(3) : Number.POSITIVE_INFINITY;
      let events = 0;
      try {
        for await (const event of await sessions.events.stream(session.id, {}, { headers: { 'last-event-id': after } })) {
          if (!('id' in event)) continue;
          if (seen.has(event.id)) throw new TwiceError(`${event.id} came twice`);
          seen.add(event.id);
          after = event.id;
          if (event.type === 'agent.message') text = event.content.map((block) => ('text' in block ? block.text : '')).join('');
          if (event.type === 'session.status_idle') return { ...turn, text };
          if ((events += 1) > leavesAfter) break;
        }
      } catch (error) {
        if (error instanceof TwiceError) throw error;
        await sleep(AGAIN_MS);
      }
    }
  };
}

class TwiceError extends Error {}
