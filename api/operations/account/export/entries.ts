import { Readable } from 'node:stream';
import { z } from 'zod';
import { AppError } from '../../../../domain/errors.ts';
import type { Operation } from '../../../contract/define-operation.ts';
import { listAgents } from '../../agents/list-agents.ts';
import { getMe } from '../../auth/get-me.ts';
import { listLedger } from '../../billing/list-ledger.ts';
import { listBudgets } from '../../budgets/list-budgets.ts';
import { listConversations } from '../../conversations/list-conversations.ts';
import { listCrons } from '../../crons/list-crons.ts';
import { listEvents } from '../../events/list-events.ts';
import { getFile } from '../../files/get-file.ts';
import { listFiles } from '../../files/list-files.ts';
import { listInstances } from '../../instances/list-instances.ts';
import { listMessages } from '../../messages/list-messages.ts';
import { listSecrets } from '../../secrets/list-secrets.ts';
import { listSkills } from '../../skills/list-skills.ts';
import { listWebhooks } from '../../webhooks/list-webhooks.ts';
import { readList } from './read-list.ts';
import type { Read } from './read-list.ts';

/** A file of the archive. */
export interface Entry {
  path: string;
  /** In bytes. */
  size: number;
  content: Readable;
}

interface AgentPlace {
  instanceId: string;
  agentId: string;
}

const instanceItem = z.looseObject({ instanceId: z.string() });
const agentItem = z.looseObject({ agentId: z.string(), slug: z.string() });
const fileItem = z.looseObject({ path: z.string() });
const fileAnswer = z.object({ headers: z.looseObject({ 'Content-Length': z.number() }), content: z.instanceof(Readable) });

const OF_ACCOUNT: Record<string, Operation> = {
  ledger: listLedger,
  budgets: listBudgets,
  webhooks: listWebhooks,
  events: listEvents,
};
const OF_INSTANCE: Record<string, Operation> = { skills: listSkills, secrets: listSecrets };
const OF_AGENT: Record<string, Operation> = { crons: listCrons, conversations: listConversations, messages: listMessages };

/**
 * Everything of an account as its own calls show it: JSON lines, a page of a list at a time, and the files of agents. Values of
 * secrets and API keys are not among it.
 */
export async function* exportEntries(read: Read): AsyncGenerator<Entry> {
  yield entryOf('account.json', `${JSON.stringify(await read(getMe, {}))}\n`);
  for (const [name, list] of Object.entries(OF_ACCOUNT)) yield* linesOf(name, readList(read, list));
  for await (const page of numbered(readList(read, listInstances))) {
    yield lines('instances', page);
    for (const item of page.items) yield* instanceEntries(read, instanceItem.parse(item).instanceId);
  }
}

async function* instanceEntries(read: Read, instanceId: string): AsyncGenerator<Entry> {
  const folder = `instances/${instanceId}`;
  for (const [name, list] of Object.entries(OF_INSTANCE))
    yield* linesOf(`${folder}/${name}`, readList(read, list, { instanceId }));
  for await (const page of numbered(readList(read, listAgents, { instanceId }))) {
    yield lines(`${folder}/agents`, page);
    for (const item of page.items) {
      const { agentId, slug } = agentItem.parse(item);
      yield* agentEntries(read, { instanceId, agentId }, `${folder}/agents/${slug}`);
    }
  }
}

async function* agentEntries(read: Read, agent: AgentPlace, folder: string): AsyncGenerator<Entry> {
  for (const [name, list] of Object.entries(OF_AGENT)) yield* linesOf(`${folder}/${name}`, readList(read, list, agent));
  try {
    for await (const files of readList(read, listFiles, agent))
      for (const file of files) yield* fileEntry(read, { ...agent, path: fileItem.parse(file).path }, folder);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'unavailable') throw error;
    yield entryOf(`${folder}/files-missing.txt`, `The files of this agent are not all here. ${error.message}\n`);
  }
}

/** None for a file that the agent has deleted since it was listed. */
async function* fileEntry(read: Read, file: AgentPlace & { path: string }, folder: string): AsyncGenerator<Entry> {
  try {
    const { headers, content } = fileAnswer.parse(await read(getFile, file));
    yield { path: `${folder}/files/${file.path}`, size: headers['Content-Length'], content };
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'not_found') throw error;
  }
}

interface NumberedPage {
  number: number;
  items: readonly unknown[];
}

async function* numbered(pages: AsyncIterable<unknown[]>): AsyncGenerator<NumberedPage> {
  let number = 0;
  for await (const items of pages) yield { number: (number += 1), items };
}

async function* linesOf(name: string, pages: AsyncIterable<unknown[]>): AsyncGenerator<Entry> {
  for await (const page of numbered(pages)) yield lines(name, page);
}

/** A file for each page, because an archive states the size of a file before its content. */
function lines(name: string, { number, items }: NumberedPage): Entry {
  const path = number === 1 ? `${name}.jsonl` : `${name}.${number}.jsonl`;
  return entryOf(path, items.map((item) => `${JSON.stringify(item)}\n`).join(''));
}

function entryOf(path: string, text: string): Entry {
  const bytes = Buffer.from(text);
  return { path, size: bytes.length, content: Readable.from([bytes], { objectMode: false }) };
}
