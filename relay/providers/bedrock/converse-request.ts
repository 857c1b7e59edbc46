import type {
  ContentBlock,
  ConverseStreamCommandInput,
  ImageFormat,
  Message,
  SystemContentBlock,
  Tool,
  ToolChoice,
  ToolConfiguration,
} from '@aws-sdk/client-bedrock-runtime';
import { z } from 'zod';
import type { ChatRequest } from '../../chat-request.ts';
import { RelayError } from '../../relay-error.ts';

const text = z.object({ type: z.literal('text'), text: z.string() });
const image = z.object({ type: z.literal('image_url'), image_url: z.object({ url: z.string() }) });
const part = z.union([text, image]);
const content = z.union([z.string(), z.array(part)]).nullish();
const call = z.object({ id: z.string(), function: z.object({ name: z.string(), arguments: z.string() }) });

const said = z.discriminatedUnion('role', [
  z.object({ role: z.literal('system'), content }),
  z.object({ role: z.literal('developer'), content }),
  z.object({ role: z.literal('user'), content }),
  z.object({ role: z.literal('assistant'), content, tool_calls: z.array(call).nullish() }),
  z.object({ role: z.literal('tool'), content, tool_call_id: z.string() }),
]);
type Said = z.infer<typeof said>;

const tool = z.object({
  function: z.object({
    name: z.string(),
    description: z.string().nullish(),
    parameters: z.record(z.string(), z.json()).nullish(),
  }),
});
const choice = z.union([z.string(), z.object({ function: z.object({ name: z.string() }) })]);
const shape = z.object({
  messages: z.array(said),
  tools: z.array(tool).nullish(),
  tool_choice: choice.nullish(),
  max_tokens: z.number().nullish(),
  max_completion_tokens: z.number().nullish(),
  temperature: z.number().nullish(),
  top_p: z.number().nullish(),
  stop: z.union([z.string(), z.array(z.string())]).nullish(),
});

const IMAGE = /^data:image\/(png|jpeg|jpg|gif|webp);base64,([A-Za-z0-9+/=\s]+)$/;

/** A chat completion request as Converse takes it. Throws RelayError 400 for what Converse has no word for. */
export function converseRequest(request: ChatRequest): ConverseStreamCommandInput {
  const parsed = shape.safeParse(request);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new RelayError(400, `The model cannot be called with this request; wrong: ${issue?.path.join('.')}.`);
  }
  const { messages, tools, tool_choice: chosen, temperature, top_p: topP, stop } = parsed.data;
  const maxTokens = parsed.data.max_completion_tokens ?? parsed.data.max_tokens ?? undefined;
  const system = messages.flatMap((message) =>
    message.role === 'system' || message.role === 'developer' ? systemBlocks(message) : [],
  );
  const toolConfig = toolsOf(tools?.length ? tools : usedTools(messages), chosen ?? undefined);
  return {
    modelId: request.model,
    messages: turnsOf(messages),
    ...(system.length === 0 ? {} : { system }),
    inferenceConfig: {
      ...(maxTokens === undefined ? {} : { maxTokens }),
      ...(temperature == null ? {} : { temperature }),
      ...(topP == null ? {} : { topP }),
      ...(stop == null ? {} : { stopSequences: [stop].flat() }),
    },
    ...(toolConfig ? { toolConfig } : {}),
  };
}

function systemBlocks({ content: given }: Said): SystemContentBlock[] {
  return blocksOf(given).flatMap((block) => (block.text === undefined ? [] : [{ text: block.text }]));
}

/** Converse wants users and assistants to alternate, and all results of tools in the turn after their calls. */
function turnsOf(messages: readonly Said[]): Message[] {
  const turns: { role: 'user' | 'assistant'; content: ContentBlock[] }[] = [];
  for (const message of messages) {
    if (message.role === 'system' || message.role === 'developer') continue;
    const role = message.role === 'assistant' ? 'assistant' : 'user';
    const blocks = contentOf(message);
    const last = turns.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else if (blocks.length > 0) turns.push({ role, content: blocks });
  }
  return turns;
}

function contentOf(message: Said): ContentBlock[] {
  const blocks = blocksOf(message.content);
  if (message.role === 'tool') {
    // A result may not be empty.
    const results = blocks.length === 0 ? [{ text: '(no output)' }] : blocks;
    return [{ toolResult: { toolUseId: message.tool_call_id, content: results } }];
  }
  if (message.role !== 'assistant') return blocks;
  const calls = (message.tool_calls ?? []).map(({ id, function: { name, arguments: given } }): ContentBlock => ({
    toolUse: { toolUseId: id, name, input: argumentsOf(given) },
  }));
  return [...blocks, ...calls];
}

type TextOrImage =
  | { text: string; image?: never }
  | { text?: never; image: { format: ImageFormat; source: { bytes: Uint8Array } } };

/** Without blank texts, which Converse refuses. */
function blocksOf(given: z.infer<typeof content>): TextOrImage[] {
  const parts = typeof given === 'string' ? [{ type: 'text' as const, text: given }] : (given ?? []);
  return parts.flatMap((one): TextOrImage[] => {
    if (one.type === 'text') return one.text.trim() === '' ? [] : [{ text: one.text }];
    return [{ image: imageOf(one.image_url.url) }];
  });
}

function imageOf(url: string): { format: ImageFormat; source: { bytes: Uint8Array } } {
  const [, format, data] = IMAGE.exec(url) ?? [];
  if (format === undefined || data === undefined) {
    throw new RelayError(400, 'Images for this model must be data: URLs of a PNG, JPEG, GIF or WebP image.');
  }
  const formats = { png: 'png', jpeg: 'jpeg', jpg: 'jpeg', gif: 'gif', webp: 'webp' } as const;
  const known = z.enum(['png', 'jpeg', 'jpg', 'gif', 'webp']).parse(format);
  return { format: formats[known], source: { bytes: Buffer.from(data, 'base64') } };
}

function argumentsOf(given: string): Record<string, z.core.util.JSONType> {
  try {
    return z.record(z.string(), z.json()).parse(JSON.parse(given === '' ? '{}' : given));
  } catch {
    // What the model once wrote and is no object; the tool has answered it with an error.
    return { arguments: given };
  }
}

/** Converse refuses calls of tools in what was said when the request names no tool, as one for a summary does. */
function usedTools(messages: readonly Said[]): z.infer<typeof tool>[] {
  const calls = messages.flatMap((message) => (message.role === 'assistant' ? (message.tool_calls ?? []) : []));
  return [...new Set(calls.map((made) => made.function.name))].map((name) => ({ function: { name } }));
}

function toolsOf(tools: readonly z.infer<typeof tool>[], chosen: z.infer<typeof choice> | undefined): ToolConfiguration | null {
  if (tools.length === 0) return null;
  const specs = tools.map(({ function: { name, description, parameters } }): Tool => ({
    toolSpec: {
      name,
      ...(description ? { description } : {}),
      inputSchema: { json: parameters ?? { type: 'object', properties: {} } },
    },
  }));
  const toolChoice = choiceOf(chosen);
  return { tools: specs, ...(toolChoice ? { toolChoice } : {}) };
}

/** Converse has no word for `none`; then, as for `auto`, it is the model that chooses. */
function choiceOf(chosen: z.infer<typeof choice> | undefined): ToolChoice | null {
  if (typeof chosen === 'object') return { tool: { name: chosen.function.name } };
  return chosen === 'required' ? { any: {} } : null;
}
