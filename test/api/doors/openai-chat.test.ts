import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { OpenAI } from 'openai';
import { eventually } from '../../support/eventually.ts';
import { startOpenaiAgent } from './openai-agent.ts';
import type { OpenaiAgent, Said } from './openai-agent.ts';

type Messages = OpenAI.ChatCompletionMessageParam[];

let door: OpenaiAgent;
let count = 0;

beforeAll(async () => {
  door = await startOpenaiAgent();
});
afterAll(() => door?.close());

/** Words that no other test says. */
const once = (text: string) => `${text} ${(count += 1)}`;
const complete = (messages: Messages, more: object = {}, options: object = {}) =>
  door.openai.chat.completions.create({ model: door.agentId, messages, ...more, stream: false }, options);
const reply = async (messages: Messages, more: object = {}): Promise<string> =>
  (await complete(messages, more)).choices[0]!.message.content!;
const user = (content: string): OpenAI.ChatCompletionUserMessageParam => ({ role: 'user', content });
const assistant = (content: string): OpenAI.ChatCompletionAssistantMessageParam => ({ role: 'assistant', content });
const system = (content: string): OpenAI.ChatCompletionSystemMessageParam => ({ role: 'system', content });
/** The conversations that have this text in a message, each as what was said in it. */
async function conversationsWith(text: string): Promise<string[][]> {
  const all = Map.groupBy(await door.said(), ({ sessionId }) => sessionId);
  const having = [...all.values()].filter((entries) => entries.some(({ content }) => content.includes(text)));
  return having.map((entries: Said[]) => entries.map(({ content }) => content));
}

describe('a chat completion', () => {
  test('is the reply of the agent, and a message like any other', async () => {
    const text = once('[[SAY Good morning]] Hello');
    const { data, response } = await door.openai.chat.completions
      .create({ model: door.agentId, messages: [user(text)] })
      .withResponse();
    expect(data).toEqual({
      id: expect.stringMatching(/^chatcmpl-msg_/),
      object: 'chat.completion',
      created: expect.any(Number),
      model: door.agentId,
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'Good morning', refusal: null, annotations: [] },
          logprobs: null,
          finish_reason: 'stop',
        },
      ],
      usage: expect.objectContaining({ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }),
      service_tier: 'default',
      system_fingerprint: null,
      metadata: { sessionId: expect.any(String) },
    });
    expect(response.headers.get('x-ignored-parameters')).toBeNull();
    const messageId = data.id.slice('chatcmpl-'.length);
    const message = await door.account.ok('GET', `${door.path}/messages/${messageId}`);
    expect(message).toMatchObject({ content: 'Good morning', status: 'completed', sessionId: data.metadata?.['sessionId'] });
    expect(await conversationsWith(text)).toEqual([[text, 'Good morning']]);
  });

  test('counts what the models of its turn used', async () => {
    const text = once('[[SAY Counted]] [[HOLD counted]]');
    const completing = complete([user(text)]);
    const messageId = await pendingReplyTo(text);
    await door.api.sql(
      `insert into model_calls (account_id, instance_id, agent_id, message_id, model, input_tokens, output_tokens,
                                cache_read_tokens, cache_write_tokens, thinking_tokens)
       values (?, ?, ?, ?, 'm', 10, 5, 4, 1, 2) returning id`,
      [door.account.accountId, door.instanceId, door.agentId, messageId],
    );
    door.control.release('counted');
    expect((await completing).usage).toMatchObject({
      ...{ prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens_details: { reasoning_tokens: 2 },
    });
  });

  test('names the agent by its instance and slug too', async () => {
    const completion = await door.openai.chat.completions.create({
      model: `${door.instanceId}/support-bot`,
      messages: [user(once('[[SAY Found]]'))],
    });
    expect([completion.model, completion.choices[0]?.message.content]).toEqual([`${door.instanceId}/support-bot`, 'Found']);
  });

  test('is streamed as chunks: the role, the text, the reason of its end', async () => {
    const stream = await door.openai.chat.completions.create({
      model: door.agentId,
      messages: [user(once('[[SAY One two three]]'))],
      stream: true,
    });
    const chunks = [];
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks[0]?.choices[0]?.delta).toEqual({ role: 'assistant', content: '', refusal: null });
    expect(chunks.map(({ choices }) => choices[0]?.delta.content ?? '').join('')).toBe('One two three');
    expect(chunks.map(({ choices }) => choices[0]?.finish_reason).filter(Boolean)).toEqual(['stop']);
    expect(new Set(chunks.map(({ id, object, model }) => `${id.slice(0, 13)} ${object} ${model}`))).toEqual(
      new Set([`chatcmpl-msg_ chat.completion.chunk ${door.agentId}`]),
    );
    expect(chunks.some((chunk) => 'usage' in chunk)).toBe(false);
  });

  test('is streamed with its usage at the end when the client asks for it', async () => {
    const runner = door.openai.chat.completions.stream({
      model: door.agentId,
      messages: [user(once('[[SAY One two]]'))],
      stream_options: { include_usage: true },
    });
    const usages = [];
    for await (const chunk of runner) usages.push([chunk.choices.length, chunk.usage === null]);
    expect(usages.at(-1)).toEqual([0, false]);
    expect(usages.slice(0, -1).every(([choices, isNull]) => choices === 1 && isNull)).toBe(true);
    expect((await runner.finalChatCompletion()).choices[0]?.message.content).toBe('One two');
  });

  test('is not cancelled by a client that leaves its stream', async () => {
    const text = once('[[SAY One two three]] [[HOLD left 1]]');
    const stream = await door.openai.chat.completions.create({ model: door.agentId, messages: [user(text)], stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    door.control.release('left');
    const [messageId] = await replyIds(text);
    await completed(messageId!);
    expect(await conversationsWith(text)).toEqual([[text, 'One two three']]);
  });

  test('is the same for a client that leaves parameters out or gives null for them', async () => {
    const nothing = { n: null, logprobs: null, stop: null, user: null, metadata: null, stream_options: null, tools: null };
    const { data, response } = await door.openai.chat.completions
      .create({ model: door.agentId, messages: [user(once('[[SAY Same]]'))], ...(nothing as object), stream: false })
      .withResponse();
    expect([data.choices[0]?.message.content, response.headers.get('x-ignored-parameters')]).toEqual(['Same', null]);
  });

  test('names what the agent cannot honour', async () => {
    const ignored = {
      ...{ temperature: 0.2, top_p: 1, max_completion_tokens: 100, stop: ['\n'], seed: 7, reasoning_effort: 'low' },
      tools: [{ type: 'function', function: { name: 'f', parameters: {} } }],
      response_format: { type: 'json_object' },
      ['odd\r\nname']: 1,
    };
    const { response } = await door.openai.chat.completions
      .create({
        model: door.agentId,
        messages: [user(once('[[SAY x]]'))],
        n: 1,
        logprobs: false,
        ...(ignored as object),
        stream: false,
      })
      .withResponse();
    expect(response.headers.get('x-ignored-parameters')).toBe(
      'temperature, top_p, max_completion_tokens, stop, seed, reasoning_effort, tools, response_format',
    );
  });

  test('names at most fifty of them', async () => {
    const many = Object.fromEntries(Array.from({ length: 80 }, (_, index) => [`p${index}`, 1]));
    const { response } = await door.openai.chat.completions
      .create({ model: door.agentId, messages: [user(once('[[SAY x]]'))], ...many, stream: false })
      .withResponse();
    expect(response.headers.get('x-ignored-parameters')?.split(', ')).toHaveLength(50);
  });

  const REFUSED: [given: object, param: string][] = [
    [{ n: 2 }, 'n'],
    [{ logprobs: true }, 'logprobs'],
    [{ top_logprobs: 3 }, 'top_logprobs'],
    [{ messages: [] }, 'messages'],
    [{ messages: [user('  ')] }, 'messages'],
    [{ messages: [user('a'), assistant('b')] }, 'messages'],
    [{ messages: [user('x'.repeat(256 * 1024 + 1))] }, 'messages'],
    [{ messages: [{ role: 'wizard', content: 'a' }] }, 'messages.0.role'],
    [{ metadata: { sessionId: '' } }, 'metadata.sessionId'],
    [{ user: 'x'.repeat(129) }, 'user'],
  ];
  test.each(REFUSED)('is 400 for what cannot be done, naming the field: %#', async (given, param) => {
    const refused = complete([user('a')], given);
    await expect(refused).rejects.toMatchObject({ status: 400, type: 'invalid_request_error', code: 'invalid_request', param });
  });
});

describe('the conversation of a chat completion', () => {
  test('is the one that its messages continue, and only what is new is said', async () => {
    const first = once('First');
    const one = await reply([user(first)]);
    const two = await reply([user(first), assistant(one), user('Second')]);
    await reply([user(first), assistant(one), user('Second'), assistant(two), user('Third')]);
    expect(await conversationsWith(first)).toEqual([
      [first, `You said: ${first}`, 'Second', 'You said: Second', 'Third', 'You said: Third'],
    ]);
    expect(await door.lastTold()).toBe('Third');
  });

  test('is found whether texts come as such or as parts, and with blanks at their ends or without', async () => {
    const first = once('Parts');
    const one = await reply([user(`${first}  `)]);
    await reply([
      { role: 'user', content: [{ type: 'text', text: first }] },
      { role: 'assistant', content: [{ type: 'text', text: `${one}\n` }] },
      user('Next'),
    ]);
    expect(await conversationsWith(first)).toHaveLength(1);
  });

  test('is found with developer messages in the place of system messages', async () => {
    const first = once('Developer');
    const one = await reply([system('Be brief.'), user(first)]);
    await reply([{ role: 'developer', content: 'Be brief.' }, user(first), assistant(one), user('Next')]);
    expect(await conversationsWith(first)).toHaveLength(1);
  });

  test('begins anew, with what came before, where an earlier message was edited', async () => {
    const first = once('Original');
    const one = await reply([user(first)]);
    await reply([user(`${first} edited`), assistant(one), user('After the edit')]);
    const told = await door.lastTold();
    expect(told).toBe(`The conversation so far:\nUser: ${first} edited\nYou: ${one}\n\nThe new message:\n\nAfter the edit`);
    expect((await door.said()).findLast(({ role }) => role === 'user')?.content).toBe('After the edit');
    expect(await conversationsWith('After the edit')).not.toContainEqual(expect.arrayContaining([first]));
  });

  test('begins anew where the last reply is generated again, and the old one stays as it was', async () => {
    const first = once('Again');
    const one = await reply([user(first)]);
    await reply([user(first), assistant(one), user('Second time')]);
    const again = await reply([user(first), assistant(one), user('Second time')]);
    expect(again).toContain('Second time');
    expect(await conversationsWith(first)).toContainEqual([first, one, 'Second time', 'You said: Second time']);
    expect(await conversationsWith('Second time')).toHaveLength(2);
  });

  test('begins anew where the client has another reply than ours, such as the part of one that it stopped', async () => {
    const first = once('Stopped');
    await reply([user(first)]);
    await reply([user(first), assistant('You sa'), user('Go on')]);
    expect(await door.lastTold()).toContain('You: You sa\n');
    expect(await conversationsWith(first)).toContainEqual([first, `You said: ${first}`]);
  });

  test('begins anew, with what came before, where the old one was deleted', async () => {
    const first = once('Deleted');
    const { metadata, choices } = await complete([user(first)]);
    const one = choices[0]!.message.content!;
    await door.account.ok('DELETE', `${door.path}/conversations/${encodeURIComponent(metadata!['sessionId']!)}`);
    const next = await complete([user(first), assistant(one), user('Still there?')]);
    expect(next.metadata?.['sessionId']).not.toBe(metadata!['sessionId']);
    expect(await door.lastTold()).toContain(`User: ${first}\nYou: ${one}\n`);
    const again = await complete([user(first)], {}, { headers: { 'X-Stainless-Retry-Count': '1' } });
    expect(again.metadata?.['sessionId']).not.toBe(metadata!['sessionId']);
  });

  test('tells system messages once, and a conversation with other ones is another one', async () => {
    const first = once('Persona');
    const one = await reply([system('You are Ada.'), user(first)]);
    expect(await door.lastTold()).toBe(`Instructions for this conversation:\nYou are Ada.\n\nThe new message:\n\n${first}`);
    await reply([system('You are Bob.'), user(first), assistant(one), user('Other')]);
    const told = await door.lastTold();
    expect(told).toContain('You are Bob.');
    expect(told).toContain(`User: ${first}`);
    await reply([system('You are Ada.'), user(first), assistant(one), user('Same')]);
    expect(await door.lastTold()).toBe('Same');
    expect(await conversationsWith(first)).toContainEqual([first, one, 'Same', 'You said: Same']);
  });

  test('is never that of another end user, though both say the same', async () => {
    const first = once('[[SAY Hi]] Hello');
    for (const name of ['ada', 'bob']) await reply([user(first)], { user: name });
    await reply([user(first), assistant('Hi'), user('The secret of Ada')], { user: 'ada' });
    await reply([user(first), assistant('Hi'), user('What is the secret?')], { safety_identifier: 'bob' });
    const conversations = await conversationsWith(first);
    expect(conversations).toContainEqual([first, 'Hi', 'The secret of Ada', 'You said: The secret of Ada']);
    expect(conversations).toContainEqual([first, 'Hi', 'What is the secret?', 'You said: What is the secret?']);
    const senders = await door.api.sql<{ who: string[] }>(
      `select array_agg(distinct sender_id) as who from messages
        where role = 'user' and conversation_id in (select conversation_id from messages where content = ?)
        group by conversation_id order by who`,
      [first],
    );
    expect(senders).toEqual([{ who: ['ada'] }, { who: ['bob'] }]);
  });

  test('goes on for one of two clients that continue it at the same time, and begins anew for the other', async () => {
    const first = once('Fork');
    const one = await reply([user(first)]);
    const goOn = (text: string) => reply([user(first), assistant(one), user(text)]);
    await Promise.all([goOn('left'), goOn('right')]);
    const conversations = await conversationsWith(first);
    expect(conversations.map(({ length }) => length).toSorted((a, b) => a - b)).toEqual([2, 4]);
  });

  test('is the one where the same message failed before', async () => {
    const first = once('[[FAIL 400]]');
    await expect(reply([user(first)])).rejects.toMatchObject({ status: 502, code: 'agent_error', type: 'server_error' });
    await expect(reply([user(first)])).rejects.toMatchObject({ status: 502 });
    expect((await conversationsWith(first)).map(({ length }) => length)).toEqual([4]);
  });

  test('is named by metadata.sessionId or X-Session-Id, and read by our own API under this name', async () => {
    const sessionId = once('named');
    await reply([user('one')], { metadata: { sessionId } });
    await complete([user('something'), assistant('else'), user('two')], {}, { headers: { 'X-Session-Id': sessionId } });
    const { messages } = await door.account.ok('GET', `${door.path}/messages?sessionId=${encodeURIComponent(sessionId)}`);
    expect(messages.map(({ content }: { content: string }) => content)).toEqual([
      ...['one', 'You said: one', 'two', 'You said: two'],
    ]);
    await door.account.ok('POST', `${door.path}/messages`, { message: 'three', sessionId });
    const { metadata } = await complete([user('four')], { metadata: { sessionId } });
    expect(metadata).toEqual({ sessionId });
  });

  test('that has a name is told changed system messages', async () => {
    const metadata = { sessionId: once('named') };
    for (const [text, isTold] of [
      ['A', true],
      ['A', false],
      ['B', true],
      ['B', false],
    ] as const) {
      await reply([system(text), user('Hello')], { metadata });
      expect((await door.lastTold()).startsWith(`Instructions for this conversation:\n${text}`)).toBe(isTold);
    }
  });

  test('that has a name and is new begins with what came before', async () => {
    await reply([user('My name is Ada'), assistant('Hello Ada'), user('Who am I?')], { metadata: { sessionId: once('named') } });
    expect(await door.lastTold()).toContain('User: My name is Ada\nYou: Hello Ada');
  });

  test('has the names of speakers, results of tools and calls of them in it', async () => {
    const call = { id: 'call_1', type: 'function' as const, function: { name: 'weather', arguments: '{"city":"Rome"}' } };
    await reply([
      { role: 'user', content: once('Weather?'), name: 'ada' },
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', content: 'Sunny', tool_call_id: 'call_1' },
      { role: 'user', content: 'And for me?', name: 'bob' },
      { role: 'user', content: 'And me?', name: 'eve' },
    ]);
    const told = await door.lastTold();
    expect(told).toContain('ada: Weather?');
    expect(told).toContain('You: (calls weather with {"city":"Rome"})');
    expect(told).toContain('Result of a tool:\nSunny\n\nbob: And for me?\n\neve: And me?');
  });

  test('takes system messages alone for the message', async () => {
    await reply([system(once('Say hi'))]);
    expect(await door.lastTold()).toMatch(/^Say hi \d+$/);
  });

  test('is told the latest of what came before where not all of it fits', async () => {
    const long = 'x'.repeat(100_000);
    const before = [1, 2, 3, 4].flatMap((number) => [user(`question ${number} ${long}`), assistant(`answer ${number}`)]);
    await reply([...before, user('[[SAY ok]]')]);
    const told = await door.lastTold();
    expect(Buffer.byteLength(told)).toBeLessThanOrEqual(256 * 1024);
    expect(told).toContain('(Earlier messages are left out.)\n');
    expect(told).toContain('question 4');
    expect(told).not.toContain('question 1 ');
    const tooLong = reply([system('y'.repeat(256 * 1024)), user('a')]);
    await expect(tooLong).rejects.toMatchObject({ status: 400, param: 'messages' });
  });
});

async function replyIds(text: string): Promise<string[]> {
  const rows = await door.api.sql<{ id: string }>(
    `select m.id from messages m join messages u on u.conversation_id = m.conversation_id and u.number = m.number and u.role = 'user'
      where m.role = 'agent' and u.content = ?`,
    [text],
  );
  return rows.map(({ id }) => id);
}

async function pendingReplyTo(text: string): Promise<string> {
  return eventually(async () => {
    const [id] = await replyIds(text);
    if (id === undefined) throw new Error('nothing was said');
    return id;
  });
}

async function completed(messageId: string): Promise<void> {
  await eventually(async () =>
    expect(await door.account.ok('GET', `${door.path}/messages/${messageId}`)).toMatchObject({ status: 'completed' }),
  );
}
