import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { PATIENCE_MS } from './eventually.ts';
import { chatRequest, promptOf } from './fake-model-request.ts';
import type { ChatMessage, ChatRequest } from './fake-model-request.ts';
import { scriptOf } from './fake-model-script.ts';
import type { DefaultReply, Script } from './fake-model-script.ts';

export interface ModelCall {
  at: Date;
  traceparent: string | undefined;
  authorization: string | undefined;
  model: string;
  lastUserText: string;
  messages: readonly ChatMessage[];
  /** The whole request, as it came. */
  body: ChatRequest;
  /** What the usage chunk of this call says. */
  usage: { promptTokens: number; completionTokens: number };
  /** The caller left before the end. */
  aborted: boolean;
  /** The whole answer was written. */
  finished: boolean;
}

/** An OpenAI-compatible model provider that does what the markers in the last user message say (see scriptOf). */
export interface FakeModel {
  /** Base URL, ending in /v1. */
  url: string;
  /** Every chat completion call so far, oldest first. An entry changes while its call runs. */
  calls: readonly ModelCall[];
  /** The first call, present or to come, that is as asked. Rejects when none comes while a test may wait. */
  waitForCall(predicate: (call: ModelCall) => boolean): Promise<ModelCall>;
  /**
   * How many calls whose last user message has this text were answered to their end. A gateway makes a call again that
   * broke off; a turn that runs twice is answered twice.
   */
  answered(text: string): number;
  /** Lets every answer held under this name go on, those of later calls too. */
  release(name: string): void;
  /** Holds the answers of later calls under a name that was released. */
  hold(name: string): void;
  /** What messages without a deciding marker are answered from now on. At first: "You said: <text>". */
  setDefault(reply: string | DefaultReply): void;
  /** Cuts every open answer and stops listening. */
  close(): Promise<void>;
}

interface State {
  calls: ModelCall[];
  defaultReply: DefaultReply;
  released: Set<string>;
  /** Looked at anew whenever a call comes, changes, or a hold is released. */
  watchers: Set<() => void>;
}

/** Starts a fake model provider on this port of the loopback address or another one, or on a free port. */
export async function startFakeModel({
  port = 0,
  host = '127.0.0.1',
}: { port?: number; host?: string } = {}): Promise<FakeModel> {
  const state: State = {
    calls: [],
    defaultReply: (text) => `You said: ${text}`,
    released: new Set(),
    watchers: new Set(),
  };
  const server = createServer((request, response) => {
    answer(state, request, response).catch(() => response.destroy());
  });
  server.listen(port, host);
  await once(server, 'listening');

  return {
    // A server that listens on a port has an address of this kind.
    url: `http://${host}:${(server.address() as AddressInfo).port}/v1`,
    calls: state.calls,
    waitForCall: (predicate) => waitForCall(state, predicate),
    answered: (text) => state.calls.filter((call) => call.finished && call.lastUserText.includes(text)).length,
    release(name) {
      state.released.add(name);
      changed(state);
    },
    hold(name) {
      state.released.delete(name);
    },
    setDefault(reply) {
      state.defaultReply = typeof reply === 'string' ? () => reply : reply;
    },
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'GET' && request.url === '/v1/models') {
    return sendJson(response, 200, { object: 'list', data: [] });
  }
  if (request.method !== 'POST' || request.url !== '/v1/chat/completions') {
    return sendJson(response, 404, { error: { message: 'No such path', type: 'invalid_request_error' } });
  }
  const parsed = chatRequest.safeParse(await json(request));
  if (!parsed.success) {
    return sendJson(response, 400, { error: { message: parsed.error.message, type: 'invalid_request_error' } });
  }
  const prompt = promptOf(parsed.data);
  const script = scriptOf(parsed.data, prompt, state.defaultReply);
  const call = recordCall(state, request, parsed.data, prompt.lastUserText, script);
  response.on('close', () => {
    call.finished = response.writableFinished;
    call.aborted = !response.writableFinished;
    changed(state);
  });
  await play(state, call, script, response);
}

function recordCall(state: State, request: IncomingMessage, body: ChatRequest, lastUserText: string, script: Script): ModelCall {
  const traceparent = request.headers['traceparent'];
  const call: ModelCall = {
    at: new Date(),
    traceparent: typeof traceparent === 'string' ? traceparent : undefined,
    authorization: request.headers.authorization,
    model: body.model,
    lastUserText,
    messages: body.messages,
    body,
    usage: {
      promptTokens: lastUserText.split(/\s+/).filter(Boolean).length,
      completionTokens: script.kind === 'text' ? script.words.length : 1,
    },
    aborted: false,
    finished: false,
  };
  state.calls.push(call);
  changed(state);
  return call;
}

async function play(state: State, call: ModelCall, script: Script, response: ServerResponse): Promise<void> {
  if (script.kind === 'fail') {
    const message = `The fake model fails with ${script.status}, as asked`;
    return sendJson(response, script.status, { error: { message, type: 'api_error' } });
  }
  const reply = createReply(state, call, response);
  reply.begin();
  if (script.kind === 'tool') {
    for (const word of script.says) reply.text(word);
    return reply.callTool(script.name, script.argumentsJson);
  }

  for (const [index, word] of script.words.entries()) {
    if (script.hold?.afterWords === index) await released(state, script.hold.name, response);
    if (index > 0 && script.delayMs > 0) await sleep(script.delayMs);
    if (response.destroyed) return;
    reply.text(word);
    if (script.breaks) {
      await new Promise<void>((written) => response.write('', () => written()));
      response.destroy();
      return;
    }
  }
  if (script.hold && script.hold.afterWords >= script.words.length) await released(state, script.hold.name, response);
  reply.end(script.finishReason);
}

/** Writes one answer as a stream of chunks, or collects it into one object when the call asked for no stream. */
function createReply(state: State, { body, usage }: ModelCall, response: ServerResponse) {
  const id = `chatcmpl-fake-${state.calls.length}`;
  const common = {
    id,
    created: Math.floor(Date.now() / 1000),
    model: body.model,
  };
  const usageFields = {
    prompt_tokens: usage.promptTokens,
    completion_tokens: usage.completionTokens,
    total_tokens: usage.promptTokens + usage.completionTokens,
  };
  const message: { role: string; content: string; tool_calls?: unknown[] } = { role: 'assistant', content: '' };
  const send = (fields: object): void => {
    if (!body.stream || response.destroyed) return;
    response.write(`data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk', ...fields })}\n\n`);
  };
  const sendDelta = (delta: object, finishReason: string | null = null): void =>
    send({ choices: [{ index: 0, delta, finish_reason: finishReason }] });

  const end = (finishReason: string): void => {
    if (!body.stream) {
      const choices = [{ index: 0, message, finish_reason: finishReason }];
      return sendJson(response, 200, { ...common, object: 'chat.completion', choices, usage: usageFields });
    }
    sendDelta({}, finishReason);
    if (body.stream_options?.include_usage) send({ choices: [], usage: usageFields });
    response.end('data: [DONE]\n\n');
  };
  return {
    begin() {
      if (body.stream) response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' });
      sendDelta({ role: 'assistant', content: '' });
    },
    text(word: string) {
      message.content += word;
      sendDelta({ content: word });
    },
    callTool(name: string, argumentsJson: string) {
      const call = { id: `call_${id}`, type: 'function', function: { name, arguments: argumentsJson } };
      message.tool_calls = [call];
      sendDelta({ tool_calls: [{ index: 0, ...call }] });
      end('tool_calls');
    },
    end,
  };
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function changed(state: State): void {
  for (const watcher of [...state.watchers]) watcher();
}

/** Resolves when this name is released or the response is gone. */
function released(state: State, name: string, response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const look = (): void => {
      if (!state.released.has(name) && !response.destroyed) return;
      state.watchers.delete(look);
      resolve();
    };
    state.watchers.add(look);
    look();
  });
}

function waitForCall(state: State, predicate: (call: ModelCall) => boolean): Promise<ModelCall> {
  return new Promise((resolve, reject) => {
    const look = (): void => {
      const call = state.calls.find(predicate);
      if (!call) return;
      settle();
      resolve(call);
    };
    const timer = setTimeout(() => {
      settle();
      const seen = state.calls.map(({ lastUserText, finished, aborted }) => ({ lastUserText, finished, aborted }));
      reject(new Error(`No such model call within ${PATIENCE_MS} ms; there were: ${JSON.stringify(seen)}`));
    }, PATIENCE_MS);
    const settle = (): void => {
      clearTimeout(timer);
      state.watchers.delete(look);
    };
    state.watchers.add(look);
    look();
  });
}
