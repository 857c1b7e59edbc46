import { utf8Length } from '../../../../domain/agents/file-path.ts';
import { invalidRequest } from '../../../contract/invalid-request.ts';
import { MAX_TOLD_BYTES } from './chat-request.ts';
import type { ChatMessage } from './chat-request.ts';
import type { ContentFile } from '../content.ts';

/** A message as an agent is told of it later: its files are named only. */
export interface ToldMessage extends Omit<ChatMessage, 'files'> {
  files: readonly Pick<ContentFile, 'name'>[];
}

interface Before {
  /** Where they stand in the request, for the error. */
  path: string;
  instructions: string;
  messages: readonly ToldMessage[];
  /** What follows. */
  text: string;
}

/** Room for the lines between. */
const FRAME_BYTES = 512;
const LEFT_OUT = '(Earlier messages are left out.)';

/**
 * What an agent is told before a text, so that it knows what was agreed and said elsewhere; undefined for nothing. All
 * together fits what an agent is told at once: the oldest messages are left out. Throws `invalid_request` for instructions
 * that do not fit.
 */
export function toldContext({ path, instructions, messages, text }: Before): string | undefined {
  const parts: string[] = [];
  let room = MAX_TOLD_BYTES - FRAME_BYTES - utf8Length(text);
  if (instructions !== '') {
    const part = `Instructions for this conversation:\n${instructions}`;
    room -= utf8Length(part);
    if (room < 0)
      throw invalidRequest([{ path, message: `Use at most ${MAX_TOLD_BYTES} bytes for the instructions and the new message.` }]);
    parts.push(part);
  }
  if (messages.length > 0) parts.push(`The conversation so far:\n${linesWithin(messages, room)}`);
  return parts.length === 0 ? undefined : [...parts, 'The new message:'].join('\n\n');
}

function linesWithin(messages: readonly ToldMessage[], bytes: number): string {
  const lines: string[] = [];
  let room = bytes;
  for (const message of messages.toReversed()) {
    const line = lineOf(message);
    room -= utf8Length(line) + 1;
    if (room < 0) return [LEFT_OUT, ...lines.toReversed()].join('\n');
    lines.push(line);
  }
  return lines.toReversed().join('\n');
}

function lineOf({ role, name, content, files, tool_calls: calls }: ToldMessage): string {
  const attached = files.map((file) => `(attached ${file.name})`);
  const called = calls?.map(({ function: { name: tool, arguments: input } }) => `(calls ${tool} with ${input})`) ?? [];
  const words = [content, ...attached, ...called].filter((text) => text !== '').join(' ');
  if (role === 'assistant') return `You: ${words}`;
  return role === 'tool' ? `Result of ${name ?? 'a tool'}: ${words}` : `${name ?? 'User'}: ${words}`;
}
