import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { spokenText } from '../runtime/openclaw/conversation/spoken-text.ts';
import type { ChatRequest } from './chat-request.ts';
import type { ModelProvider } from './providers/model-provider.ts';

const MAX_ECHO_CHARACTERS = 2_000;

const userMessage = z.object({
  role: z.literal('user'),
  content: z.union([z.string(), z.array(z.object({ text: z.string().default('') }))]),
});

/** Stands in when no provider is configured: repeats what was said, and says how to get real answers. */
export function createEchoModel(): ModelProvider {
  return {
    complete: async ({ request }) =>
      request.stream
        ? { contentType: 'text/event-stream; charset=utf-8', isStream: true, body: streamOf(request) }
        : { contentType: 'application/json', isStream: false, body: objectOf(request) },
    close: async () => {},
  };
}

function replyTo(said: string): string {
  const quoted = said.length > MAX_ECHO_CHARACTERS ? `${said.slice(0, MAX_ECHO_CHARACTERS)} ...` : said;
  return (
    `You said: ${quoted}\n\n` +
    'This answer comes from the built-in echo model, because no model provider is configured. For real answers set ' +
    'MODEL_UPSTREAM_URL to the /v1 address of an OpenAI-compatible provider, MODEL_UPSTREAM_KEY to its key, and start again.'
  );
}

async function* streamOf(request: ChatRequest): AsyncGenerator<Uint8Array> {
  const { reply, usage, common } = answerTo(request);
  const event = (fields: object): Buffer =>
    Buffer.from(`data: ${JSON.stringify({ ...common, object: 'chat.completion.chunk', ...fields })}\n\n`);
  const choice = (delta: object, finishReason: string | null) => ({
    choices: [{ index: 0, delta, finish_reason: finishReason }],
  });

  yield event(choice({ role: 'assistant', content: '' }, null));
  for (const word of wordsOf(reply)) yield event(choice({ content: word }, null));
  yield event(choice({}, 'stop'));
  yield event({ choices: [], usage });
  yield Buffer.from('data: [DONE]\n\n');
}

async function* objectOf(request: ChatRequest): AsyncGenerator<Uint8Array> {
  const { reply, usage, common } = answerTo(request);
  const choices = [{ index: 0, message: { role: 'assistant', content: reply }, finish_reason: 'stop' }];
  yield Buffer.from(JSON.stringify({ ...common, object: 'chat.completion', choices, usage }));
}

/** Counts a word as a token. */
function answerTo(request: ChatRequest) {
  const said = lastUserText(request);
  const reply = replyTo(said);
  const promptTokens = wordsOf(said).length;
  const completionTokens = wordsOf(reply).length;
  return {
    reply,
    common: { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: request.model },
    usage: {
      prompt_tokens: promptTokens,
      completion_tokens: completionTokens,
      total_tokens: promptTokens + completionTokens,
    },
  };
}

/** Each word with the white space before it. */
function wordsOf(text: string): string[] {
  return text.split(/(?<=\S)(?=\s+\S)/);
}

function lastUserText({ messages }: ChatRequest): string {
  for (const message of messages.toReversed()) {
    const parsed = userMessage.safeParse(message);
    if (!parsed.success) continue;
    const { content } = parsed.data;
    const said = spokenText(typeof content === 'string' ? content : content.map((part) => part.text).join(''));
    if (said !== null) return said;
  }
  return '';
}
