import { InvokeModelCommand, InvokeModelWithResponseStreamCommand } from '@aws-sdk/client-bedrock-runtime';
import type { BedrockRuntimeClient } from '@aws-sdk/client-bedrock-runtime';
import { z } from 'zod';
import type { ChatRequest } from '../../chat-request.ts';
import type { Sending } from './request-handler.ts';

/** How Bedrock names the form of Anthropic's messages. */
const VERSION = 'bedrock-2023-05-31';
/** Bedrock's own counts, which no client of Anthropic's messages knows. */
const METRICS = 'amazon-bedrock-invocationMetrics';

const event = z.looseObject({ type: z.string().regex(/^[a-z_]{1,64}$/) });

/** An answer of a model of Anthropic as the event stream that Anthropic itself sends. Rejects with the errors of the SDK. */
export async function invokeStream(
  client: BedrockRuntimeClient,
  request: ChatRequest,
  sending: Sending,
): Promise<AsyncIterable<Uint8Array>> {
  const command = new InvokeModelWithResponseStreamCommand({ ...inputOf(request), accept: 'application/json' });
  const { body } = await client.send(command, sending);
  return eventsOf(body ?? []);
}

/** The same for an answer that is one object. */
export async function invoke(
  client: BedrockRuntimeClient,
  request: ChatRequest,
  sending: Sending,
): Promise<AsyncIterable<Uint8Array>> {
  const { body } = await client.send(new InvokeModelCommand({ ...inputOf(request), accept: 'application/json' }), sending);
  return (async function* () {
    yield body;
  })();
}

/** The model and whether it streams are said beside the body. */
function inputOf(request: ChatRequest) {
  const body = { anthropic_version: VERSION, ...request, model: undefined, stream: undefined };
  return { modelId: request.model, contentType: 'application/json', body: JSON.stringify(body) };
}

async function* eventsOf(
  frames: AsyncIterable<{ chunk?: { bytes?: Uint8Array | undefined } | undefined }> | [],
): AsyncGenerator<Uint8Array> {
  for await (const { chunk } of frames) {
    if (!chunk?.bytes) continue;
    const text = Buffer.from(chunk.bytes).toString();
    const { [METRICS]: metrics, ...said } = event.parse(JSON.parse(text));
    yield Buffer.from(`event: ${said.type}\ndata: ${metrics === undefined ? text : JSON.stringify(said)}\n\n`);
  }
}
