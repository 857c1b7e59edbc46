import { createInterface } from 'node:readline/promises';
import type { Command } from 'commander';
import { ApiError, ThermidoraError } from '../../src/index.ts';
import type { Reply, Step, Thermidora } from '../../src/index.ts';
import { readInput } from '../ask.ts';
import { readAttachments, takeDropped } from '../attachments.ts';
import type { Attachments } from '../attachments.ts';
import { keepHistory, readHistory } from '../chat-history.ts';
import type { Context } from '../context.ts';
import { agentIdOf, instanceIdOf } from '../find.ts';
import { printable, UserError } from '../io.ts';
import { writeJson } from '../output.ts';

const POLL_LOGS_MS = 2_000;
const LOG_LINES = 1_000;

interface Conversation {
  client: Thermidora;
  instanceId: string;
  agentId: string;
  session: string | undefined;
}

/** `chat`, `logs`. */
export function addChat(program: Command, context: Context): void {
  program
    .command('chat')
    .description(
      'Talk with an agent. Without a message, each line is one; end a line with \\ to continue it. Files that are dropped on the beginning of a line are attached. Ctrl-C ends a reply',
    )
    .argument('<instance>', 'its id or name')
    .argument('<agent>', 'its id or slug')
    .argument('[message]', 'one message (default: the standard input, unless it is a terminal)')
    .option('--session <id>', 'the conversation with this id instead of the default one')
    .option('--attach <file...>', 'files to send with the message')
    .action(async (instance: string, agent: string, message: string | undefined, { session, attach = [] }: ChatOptions) => {
      const client = await context.client();
      const instanceId = await instanceIdOf(client, instance);
      const conversation = { client, instanceId, agentId: await agentIdOf(client, instanceId, agent), session };
      const attachments = await readAttachments(attach);
      if (message === undefined && context.io.stdin.isTTY) return talk(context, conversation, attachments);
      await sayOnce(context, conversation, { text: message ?? (await readInput(context.io)), attachments });
    });
  program
    .command('logs')
    .description('Show the latest lines of the log of an instance')
    .argument('<instance>', 'its id or name')
    .option('--lines <number>', 'how many', '200')
    .option('--follow', 'print new lines as they are written')
    .action(async (given: string, { lines, follow }: { lines: string; follow?: true }) => {
      const client = await context.client();
      const instanceId = await instanceIdOf(client, given);
      const show = (found: readonly LogLine[]): void => {
        for (const { at, text } of found) context.io.stdout.write(`${at ?? ''} ${printable(text)}\n`);
      };
      const count = Number(lines);
      if (!Number.isInteger(count) || count < 1) throw new UserError('Give --lines as a whole number of at least 1.');
      let known = (await client.instances.logs(instanceId, { limit: LOG_LINES })).lines;
      if (!follow && context.isJson()) return writeJson(context.io, known.slice(-count));
      show(known.slice(-count));
      if (!follow) return;
      while (!context.signal.aborted) {
        await new Promise((resolve) => setTimeout(resolve, POLL_LOGS_MS));
        const now = (await client.instances.logs(instanceId, { limit: LOG_LINES }, { signal: context.signal })).lines;
        show(newLines(known, now));
        known = now;
      }
    });
}

interface ChatOptions {
  session?: string;
  attach?: string[];
}

/** What is said, with the files that go with it. */
interface Said {
  text: string;
  attachments: Attachments;
}

interface LogLine {
  at: string | null;
  text: string;
}

/** The lines that have come since: what is known is a beginning of the log as it is now, once the oldest lines are gone. */
export function newLines(known: readonly LogLine[], now: readonly LogLine[]): readonly LogLine[] {
  for (let gone = 0; gone < known.length; gone += 1) {
    const kept = known.slice(gone);
    if (kept.every(({ at, text }, index) => now[index]?.at === at && now[index].text === text)) return now.slice(kept.length);
  }
  return now;
}

async function sayOnce(context: Context, conversation: Conversation, said: Said): Promise<void> {
  if (said.text.trim() === '') throw new UserError('Give a message that is not blank.');
  const reply = say(conversation, said, context.signal);
  if (!context.isJson()) await write(context, reply);
  else writeJson(context.io, await reply.message());
}

function say({ client, instanceId, agentId, session }: Conversation, { text, attachments }: Said, signal: AbortSignal): Reply {
  const about = { include: ['steps' as const], ...(session === undefined ? {} : { sessionId: session }) };
  const body = { message: text, ...about, ...(attachments.length > 0 && { attachments }) };
  return client.messages.sendAndStream(instanceId, agentId, body, { signal });
}

const INPUT_CHARACTERS = 100;

/** A step in one line: the tool, the beginning of its arguments, and whether it failed. */
function lineOf({ name, input, isError }: Step): string {
  const given = printable((input ?? '').replaceAll(/\s+/g, ' '));
  const shown = given.length > INPUT_CHARACTERS ? `${given.slice(0, INPUT_CHARACTERS)}...` : given;
  return `[${printable(name)}${isError ? ' failed' : ''}] ${shown}`.trimEnd();
}

async function write({ io }: Context, reply: Reply): Promise<void> {
  for await (const part of reply) {
    if (part.type === 'text') io.stdout.write(printable(part.text));
    if (part.type === 'step' && part.step.status === 'ended') io.stderr.write(`${lineOf(part.step)}\n`);
  }
  io.stdout.write('\n');
}

/** Until the input ends. An interrupt ends the reply that is being written, and at the prompt the conversation. */
async function talk(context: Context, conversation: Conversation, given: Attachments): Promise<void> {
  const { io } = context;
  let history = await readHistory(io);
  const lines = createInterface({ input: io.stdin, output: io.stdout, prompt: '> ', history, removeHistoryDuplicates: true });
  lines.on('history', (newestFirst) => (history = newestFirst));
  let current: AbortController | null = null;
  lines.on('SIGINT', () => (current ? current.abort() : lines.close()));
  let message = '';
  let attachments = given;
  lines.prompt();
  for await (const line of lines) {
    message += line.endsWith('\\') ? `${line.slice(0, -1)}\n` : line;
    if (!line.endsWith('\\') && message.trim() !== '') {
      const { text, attached } = await withDropped(context, message, attachments);
      attachments = attached;
      message = '';
      if (text !== '') {
        current = new AbortController();
        await answer(context, conversation, { text, attachments }, current.signal);
        current = null;
        attachments = [];
      }
    }
    lines.prompt();
  }
  await keepHistory(io, history);
}

/** Attaches the files that the message begins with, and says so. A line of files alone waits for its message. */
async function withDropped(
  { io }: Context,
  message: string,
  attached: Attachments,
): Promise<{ text: string; attached: Attachments }> {
  const { paths, text } = await takeDropped(message);
  if (paths.length === 0) return { text: message, attached };
  try {
    const dropped = await readAttachments(paths);
    io.stderr.write(`Attached: ${dropped.map(({ name }) => printable(name)).join(', ')}\n`);
    return { text, attached: [...attached, ...dropped] };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    io.stderr.write(`${printable(error.message)}\n`);
    return { text: '', attached };
  }
}

/** What fails ends the reply, not the conversation. */
async function answer(context: Context, conversation: Conversation, said: Said, signal: AbortSignal): Promise<void> {
  const reply = say(conversation, said, signal);
  try {
    await write(context, reply);
  } catch (error) {
    if (signal.aborted) return cancel(context, conversation, reply);
    if (!(error instanceof ThermidoraError)) throw error;
    context.io.stderr.write(`\n${printable(error.message)}\n`);
  }
}

async function cancel({ io }: Context, { client, instanceId, agentId }: Conversation, reply: Reply): Promise<void> {
  io.stderr.write('\n');
  if (reply.messageId === undefined) return;
  await client.messages.cancel(instanceId, agentId, reply.messageId).catch((error: unknown) => {
    // It has ended meanwhile.
    if (!(error instanceof ApiError && error.code === 'conflict')) throw error;
  });
}
