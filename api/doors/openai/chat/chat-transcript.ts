import { createHash } from 'node:crypto';
import { BLANKS } from '../../../../database/messages/find-conversation.ts';
import type { Transcript } from '../../../../turns/conversation/find-conversation.ts';
import { utf8Length } from '../../../../domain/agents/file-path.ts';
import { invalidRequest } from '../../../contract/invalid-request.ts';
import { MAX_TOLD_BYTES } from './chat-request.ts';
import type { ChatMessage } from './chat-request.ts';
import type { ContentFile } from '../content.ts';

/** What a client has sent of a conversation, and what of it is new to the agent. */
export interface ReadTranscript extends Transcript {
  /** What follows the last reply: it is said to the agent. */
  text: string;
  /** The files of what follows the last reply. */
  files: readonly ContentFile[];
  /** The name of who says it, if it has one. */
  name: string | undefined;
  /** What came before, without instructions. */
  before: readonly ChatMessage[];
  /** All system and developer messages. */
  instructions: string;
  instructionsHash: Buffer | null;
}

/** The text of a message that has files alone. */
const FILES_ALONE = '(attached files)';

/** Reads the messages of a chat. `user` is whose conversation it is: that of another user is another one. */
export function readTranscript(messages: readonly ChatMessage[], user: string): ReadTranscript {
  const hashes = runningHashes(messages, user);
  const lastReply = messages.findLastIndex(({ role }) => role === 'assistant');
  const [before, rest] = [messages.slice(0, lastReply + 1), messages.slice(lastReply + 1)];
  const said = rest.filter(isNoInstruction);
  // A client that sends nothing else means its instructions as the message.
  const isOnlyInstructions = said.length === 0;
  const instructions = joined((isOnlyInstructions ? before : messages).filter(({ role }) => role === 'system'));
  const [promptHash, beforeReply] = [hashes.at(-1), hashes[lastReply]];
  const reply = messages[lastReply];
  const files = rest.flatMap((message) => message.files);
  const text = isOnlyInstructions ? joined(rest) : wordsOf(said);
  if (!promptHash) throw new Error('a transcript has at least one message');
  return {
    promptHash,
    received: reply && beforeReply ? { promptHash: beforeReply, replyHash: hashOfReply(reply.content) } : null,
    text: text === '' && files.length > 0 ? FILES_ALONE : text,
    files,
    name: said.findLast(({ role }) => role === 'user')?.name ?? undefined,
    before: before.filter(isNoInstruction),
    instructions,
    instructionsHash: instructions === '' ? null : sha256(instructions),
  };
}

/** Throws `invalid_request`, naming this field, where there is nothing to say to an agent, or more than it is told at once. */
export function requireSaid(path: string, { text }: ReadTranscript): void {
  if (!/\S/.test(text)) throw invalidRequest([{ path, message: 'Give a last message that is not blank.' }]);
  if (utf8Length(text) <= MAX_TOLD_BYTES) return;
  throw invalidRequest([{ path, message: `Use at most ${MAX_TOLD_BYTES} bytes after the last reply of the assistant.` }]);
}

/** The hash of what came before each message, and at last that of all of them. Blanks at the ends of a text do not count. */
function runningHashes(messages: readonly ChatMessage[], user: string): Buffer[] {
  const hashes = [sha256(JSON.stringify(['chat', user]))];
  for (const { role, name, content, files, tool_calls: calls } of messages) {
    const called = calls?.map(({ function: { name: tool, arguments: input } }) => [tool, input]) ?? [];
    const attached = files.map((file) => sha256(JSON.stringify(file)).toString('hex'));
    const entry = JSON.stringify([role, name ?? '', trimBlanks(content), called, ...attached]);
    hashes.push(sha256(Buffer.concat([hashes.at(-1) ?? Buffer.alloc(0), Buffer.from(entry)])));
  }
  return hashes;
}

function hashOfReply(text: string): Buffer {
  return sha256(trimBlanks(text));
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}

/** As the database compares texts. */
function trimBlanks(text: string): string {
  let [from, to] = [0, text.length];
  while (from < to && BLANKS.includes(text.charAt(from))) from += 1;
  while (to > from && BLANKS.includes(text.charAt(to - 1))) to -= 1;
  return text.slice(from, to);
}

function isNoInstruction({ role }: ChatMessage): boolean {
  return role !== 'system';
}

function joined(messages: readonly ChatMessage[]): string {
  return messages
    .map(({ content }) => content)
    .filter((text) => /\S/.test(text))
    .join('\n\n');
}

/** What several messages say as one. Who speaks is named where several people do, and where a tool has answered. */
function wordsOf(messages: readonly ChatMessage[]): string {
  const speakers = new Set(messages.filter(({ role }) => role === 'user').map(({ name }) => name ?? ''));
  return messages
    .map(({ role, name, content }) => {
      if (role === 'tool') return `Result of ${name ?? 'a tool'}:\n${content}`;
      return speakers.size > 1 && name != null ? `${name}: ${content}` : content;
    })
    .filter((text) => /\S/.test(text))
    .join('\n\n');
}
