import { randomUUID } from 'node:crypto';
import { ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import type { BedrockRuntimeClient, ConverseStreamOutput } from '@aws-sdk/client-bedrock-runtime';
import type { ChatRequest } from '../../chat-request.ts';
import { endedTooEarly } from '../bounded-body.ts';
import { createChunkMaker } from './converse-chunks.ts';
import type { Chunk } from './converse-chunks.ts';
import { converseRequest } from './converse-request.ts';
import type { Sending } from './request-handler.ts';

/** An answer by Converse as a stream of OpenAI's chat completion chunks. Rejects with the errors of the SDK. */
export async function converseStream(
  client: BedrockRuntimeClient,
  request: ChatRequest,
  sending: Sending,
): Promise<AsyncIterable<Uint8Array>> {
  const chunks = await chunksOf(client, request, sending);
  return (async function* () {
    const common = commonOf(request, 'chat.completion.chunk');
    for await (const chunk of chunks) yield Buffer.from(`data: ${JSON.stringify({ ...common, ...chunk })}\n\n`);
    yield Buffer.from('data: [DONE]\n\n');
  })();
}

/** The same for an answer that is one object. */
export async function converse(
  client: BedrockRuntimeClient,
  request: ChatRequest,
  sending: Sending,
): Promise<AsyncIterable<Uint8Array>> {
  const chunks = await chunksOf(client, request, sending);
  return (async function* () {
    const message = { role: 'assistant', content: '', reasoning_content: '' };
    const calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[] = [];
    let finishReason: string | null = null;
    let usage: object | undefined;
    for await (const { choices, usage: counted } of chunks) {
      usage = counted ?? usage;
      for (const { delta, finish_reason: reason } of choices) {
        finishReason = reason ?? finishReason;
        message.content += delta.content ?? '';
        message.reasoning_content += delta.reasoning_content ?? '';
        for (const {
          index,
          id,
          function: { name = '', arguments: given = '' },
        } of delta.tool_calls ?? []) {
          const known = (calls[index] ??= { id: id ?? '', type: 'function', function: { name, arguments: '' } });
          known.function.arguments += given;
        }
      }
    }
    const whole = { ...message, ...(calls.length === 0 ? {} : { tool_calls: calls }) };
    const choice = { index: 0, message: whole, finish_reason: finishReason };
    yield Buffer.from(JSON.stringify({ ...commonOf(request, 'chat.completion'), choices: [choice], usage }));
  })();
}

async function chunksOf(client: BedrockRuntimeClient, request: ChatRequest, sending: Sending): Promise<AsyncIterable<Chunk>> {
  const { stream } = await client.send(new ConverseStreamCommand(converseRequest(request)), sending);
  return made(stream ?? []);
}

async function* made(events: AsyncIterable<ConverseStreamOutput> | []): AsyncGenerator<Chunk> {
  const make = createChunkMaker();
  let hasStopped = false;
  for await (const event of events) {
    hasStopped ||= event.messageStop !== undefined;
    yield* make(event);
  }
  // [DONE] would say that an answer is whole that is cut, or none.
  if (!hasStopped) throw endedTooEarly();
}

function commonOf({ model }: ChatRequest, object: string) {
  return { id: `chatcmpl-${randomUUID()}`, object, created: Math.floor(Date.now() / 1000), model };
}
