import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findHistory } from '../../../database/messages/find-messages.ts';
import { runTransaction } from '../../../database/run-transaction.ts';
import { query, run, sql } from '../../../database/sql.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { endTurn, makeRunning, newAgent, newInstance, newRunningAgent, newTurn } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;
let of: { instanceId: string; agentId: string };
let path: string;
/** The replies to the questions 1 to 5. */
const replies: string[] = [];

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
  of = await newRunningAgent(api, account);
  path = `/instances/${of.instanceId}/agents/${of.agentId}/messages`;
  for (const number of [1, 2, 3, 4, 5])
    replies.push(await say(`question ${number}`, `answer ${number}`, number % 2 === 0 ? 'even' : 'odd'));
});
afterAll(() => api.close());

async function say(text: string, answer: string, sessionId = ''): Promise<string> {
  api.advance(1_000);
  const { messageId } = await newTurn(api, of, { text, sessionId });
  api.advance(1_000);
  await endTurn(api, messageId, { status: 'completed', content: answer, finishReason: 'stop' });
  return messageId;
}

interface Page {
  contents: string[];
  nextCursor: string | null;
}

async function list(asked: string): Promise<Page> {
  const { messages, nextCursor } = await account.ok('GET', `${path}?${asked}`);
  return { contents: messages.map(({ content }: { content: string }) => content), nextCursor };
}

async function all(asked: string): Promise<string[][]> {
  const pages: string[][] = [];
  for (let cursor = ''; ;) {
    const { contents, nextCursor } = await list(`${asked}${cursor}`);
    pages.push(contents);
    if (nextCursor === null) return pages;
    cursor = `&cursor=${nextCursor}`;
  }
}

describe('a history from one of its messages', () => {
  test('before: the latest of those before it, and page by page the earlier ones', async () => {
    expect(await all(`limit=3&before=${replies[2]}`)).toEqual([
      ['question 2', 'answer 2', 'question 3'],
      ['question 1', 'answer 1'],
    ]);
  });

  test('after: the first of those after it, and page by page the later ones', async () => {
    expect(await all(`limit=3&after=${replies[2]}`)).toEqual([['question 4', 'answer 4', 'question 5'], ['answer 5']]);
    expect(await list(`after=${replies[4]}`)).toEqual({ contents: [], nextCursor: null });
  });

  test('both: only those between, from the first on', async () => {
    expect(await all(`limit=2&after=${replies[0]}&before=${replies[2]}`)).toEqual([['question 2', 'answer 2'], ['question 3']]);
  });

  test('of one conversation, also beside a message of another', async () => {
    expect(await all(`sessionId=odd&after=${replies[1]}`)).toEqual([['question 3', 'answer 3', 'question 5', 'answer 5']]);
  });

  test('refuses what is no message of this agent', async () => {
    const stranger = await api.newAccount();
    const instanceId = await newInstance(stranger);
    const theirs = { instanceId, agentId: await newAgent(stranger, instanceId) };
    await makeRunning(api, instanceId);
    const { messageId } = await newTurn(api, theirs);
    for (const id of [messageId, 'msg_nothingnothing00', 'x'])
      for (const field of ['before', 'after']) {
        const { status, body } = await account.call('GET', `${path}?${field}=${id}`);
        expect([status, body.error.details[0].path]).toEqual([400, field]);
      }
  });
});

describe('a search', () => {
  test('finds messages with all of the words, whatever their case and wherever they stand, of both sides', async () => {
    await say('Where does the Zebra live?', 'A zebra lives where the grass is.', 'zoo');
    await say('And the ZEBRAS of https://example.com/zoo?x=1', 'In Ünterwald, under 17.5 trees.', 'zoo');
    expect((await list('q=zebra')).contents).toEqual(['Where does the Zebra live?', 'A zebra lives where the grass is.']);
    expect((await list('q=grass%20ZEBRA')).contents).toEqual(['A zebra lives where the grass is.']);
    expect((await list('q=%C3%BCnterwald')).contents).toEqual(['In Ünterwald, under 17.5 trees.']);
    expect((await list('q=zebra&sessionId=odd')).contents).toEqual([]);
    expect(await all('q=answer&limit=2')).toEqual([['answer 4', 'answer 5'], ['answer 2', 'answer 3'], ['answer 1']]);
    expect(await all(`q=answer&after=${replies[2]}`)).toEqual([['answer 4', 'answer 5']]);
  });

  test('takes any text for words: operators, quotes, wildcards, other alphabets, no word at all', async () => {
    for (const q of ["a' & !b | (c", '"zebra', 'zebra:*', '%', '\\', '!!!', '\u2028', '日本語', '<->', of.agentId]) {
      const { status, body } = await account.call('GET', `${path}?q=${encodeURIComponent(q)}`);
      expect([q, status, body.messages.length > 0]).toEqual([q, 200, q.includes('zebra')]);
    }
  });

  test('is of 1 to 200 characters', async () => {
    expect((await list(`q=${'x'.repeat(200)}`)).contents).toEqual([]);
    for (const q of ['', 'x'.repeat(201)]) {
      const { status, body } = await account.call('GET', `${path}?q=${q}`);
      expect([status, body.error.details[0].path]).toEqual([400, 'q']);
    }
  });

  test('finds nothing of another agent', async () => {
    const instanceId = await newInstance(account);
    const agentId = await newAgent(account, instanceId);
    const { messages } = await account.ok('GET', `/instances/${instanceId}/agents/${agentId}/messages?q=zebra`);
    expect(messages).toEqual([]);
  });

  test('the longest message can be stored and found by its first words: many short words, one very long word, words with hyphens', async () => {
    const short = Array.from({ length: 262_144 }, (_none, index) => String.fromCodePoint(0x4e_00 + (index % 20_000))).join(' ');
    await say('kilimanjaro', `everest ${short}`.slice(0, 1024 ** 2), 'long');
    await say('x'.repeat(262_144), `aconcagua ${'y'.repeat(1024 ** 2 - 10)}`, 'long');
    // A word with hyphens is found by its parts too, and these letters have four bytes each: twice as much to look up as text.
    const letters = (from: number) =>
      Array.from({ length: 249 }, (_none, index) => String.fromCodePoint(0x2_00_00 + from + index));
    const hyphened = Array.from({ length: 500 }, (_none, index) => `${letters(index).join('')}-${letters(index + 249).join('')}`);
    await say('x', `chimborazo ${hyphened.join(' ')}`, 'long');
    const lengths = async (q: string) => (await list(`q=${q}`)).contents.map(({ length }) => length > 100_000);
    for (const q of ['everest', 'aconcagua', 'chimborazo']) expect([q, await lengths(q)]).toEqual([q, [true]]);
  });

  test('of very many messages reads those with its words, not all', async () => {
    const undone = new Error('the rows are taken back');
    const work = runTransaction(api.orm.em, async (em) => {
      await run(
        em,
        sql`insert into messages (id, account_id, instance_id, agent_id, conversation_id, number, role, content, sender_type, sender_id, sender_name, created_at)
            select 'msg_many' || lpad(n::text, 12, '0'), account_id, instance_id, agent_id, conversation_id, 1000 + n, role, 'word' || n, sender_type, sender_id, sender_name, created_at
              from messages, generate_series(1, 5000) n where id = (select id from messages where role = 'user' and agent_id = ${of.agentId} limit 1)`,
      );
      await run(em, sql`analyze messages`);
      const { entries } = await findHistory(em, of.agentId, { words: 'word4711', order: 'newest-first', limit: 10 });
      expect(entries.map(({ content }) => content)).toEqual(['word4711']);
      const [scans] = await query<{ count: number }>(
        em,
        sql`select pg_stat_get_xact_numscans('messages_search_index'::regclass)::float8 as count`,
      );
      expect(scans?.count).toBe(1);
      throw undone;
    });
    await expect(work).rejects.toBe(undone);
  });
});
