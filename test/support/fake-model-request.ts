import { z } from 'zod';
import { spokenText } from '../../runtime/openclaw/conversation/spoken-text.ts';

const contentPart = z.looseObject({ type: z.string(), text: z.string().optional() });

const message = z.looseObject({
  role: z.string(),
  content: z.union([z.string(), z.array(contentPart)]).nullish(),
});

/** The part of an OpenAI chat completion request that the fake model looks at. Everything else is kept as it came. */
export const chatRequest = z.looseObject({
  model: z.string(),
  messages: z.array(message),
  stream: z.boolean().optional(),
  stream_options: z.looseObject({ include_usage: z.boolean().optional() }).nullish(),
});

export type ChatRequest = z.infer<typeof chatRequest>;
export type ChatMessage = z.infer<typeof message>;

/** What a person (or a scheduled job) said last, without what the gateway adds; what the tools answered since; the system prompt. */
export interface Prompt {
  system: string;
  lastUserText: string;
  toolResults: string[];
}

export function promptOf({ messages }: ChatRequest): Prompt {
  const lastUser = messages.findLastIndex((entry) => entry.role === 'user' && spokenText(textOf(entry)) !== null);
  const sinceThen = messages.slice(lastUser + 1);
  return {
    system: messages
      .filter(({ role }) => role === 'system' || role === 'developer')
      .map(textOf)
      .join('\n'),
    lastUserText: spokenText(textOf(messages[lastUser])) ?? '',
    toolResults: sinceThen.filter(({ role }) => role === 'tool').map(textOf),
  };
}

function textOf(entry: ChatMessage | undefined): string {
  const content = entry?.content ?? '';
  return typeof content === 'string' ? content : content.map((part) => part.text ?? '').join('');
}
