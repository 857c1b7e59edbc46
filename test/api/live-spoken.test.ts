import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { sendTurn } from '../../runtime/openclaw/conversation/agent-turn.ts';
import { removeCron, runCron } from '../../runtime/openclaw/content/crons.ts';
import { listCrons } from '../support/cron-lists.ts';
import { sessionKeyOf } from '../../runtime/openclaw/conversation/session-key.ts';
import { turnSettings } from '../../turns/turn-deps.ts';
import { createTurnWatches } from '../../turns/watch-turns.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { AGENT } from '../support/gateway-under-test.ts';
import { startLiveAgent } from './live-agent.ts';
import type { LiveAgent } from './live-agent.ts';
import { asGateway } from '../support/raw-gateway.ts';

const HOURLY = { kind: 'every', everyMs: 3_600_000 };

let live: LiveAgent;
let path: string;
const open: { stop(): Promise<void> }[] = [];

beforeAll(async () => {
  live = await startLiveAgent();
  path = `${live.path}/messages`;
});
afterAll(() => live?.close());
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.stop()));
  for (const { id, isInternal } of await listCrons(live.client)) if (!isInternal) await removeCron(live.client, id);
});

interface Message {
  messageId: string;
  content: string;
  source?: string;
  jobName?: string | null;
  requestMessageId?: string;
}

/** As a worker that holds the shard of the instance. */
async function watch(): Promise<{ stop(): Promise<void> }> {
  const { api, gateway, instanceId } = live;
  const [shard] = await api.sql<{ epoch: number }>(
    `update watch_shards set epoch = epoch + 1, owner = 'proc_worker'
      where shard = (select shard from instances where id = ?) returning epoch::float8 as epoch`,
    [instanceId],
  );
  const watches = createTurnWatches({ ...api.deps, ...turnSettings(api.deps.config) });
  watches.watch({ instanceId, shardEpoch: shard!.epoch }).attach(asGateway(await gateway.connect()));
  open.push(watches);
  return watches;
}

const get = (messageId: string) => live.account.ok('GET', `${path}/${messageId}`);
const history = async (query = ''): Promise<Message[]> => (await live.account.ok('GET', `${path}${query}`)).messages;
const send = (message: string, sessionId?: string) =>
  live.account.ok('POST', path, { message, sessionId, timeoutMs: PATIENCE_MS });
/** What webhooks are told about the message with this id. */
const told = async (messageId: string) =>
  (await live.api.sql<{ body: string }>('select body from webhook_deliveries'))
    .map(({ body }) => JSON.parse(body))
    .filter(({ data }) => data.messageId === messageId);
const eventOf = (jobName: string | null, content: string): Promise<Message> =>
  eventually(async () => {
    const { events } = await live.account.ok('GET', `/instances/${live.instanceId}/events?limit=200`);
    const found = events.find((event: Message) => event.jobName === jobName && event.content === content);
    if (!found) throw new Error('there is no such event');
    return found;
  });

test('a result of a scheduled job is one message for its event, its webhook and GET, and in no history', async () => {
  await live.account.ok('POST', '/webhooks', { url: 'https://8.8.8.8/', events: ['*'], instanceId: live.instanceId });
  await watch();
  const job = { name: 'Digest', schedule: HOURLY, message: '[[SAY Nothing new.]]' };
  const { cronId } = await live.account.ok('POST', `${live.path}/crons`, job);
  await live.account.ok('POST', `${live.path}/crons/${cronId}/run`);

  const { messageId } = await eventOf('Digest', 'Nothing new.');

  const said = {
    content: 'Nothing new.',
    status: 'completed',
    role: 'agent',
    source: 'cron',
    jobName: 'Digest',
    sessionId: null,
  };
  expect(await get(messageId)).toMatchObject({ messageId, ...said });
  expect(await told(messageId)).toMatchObject([{ eventType: 'cron.completed', data: { jobName: 'Digest' } }]);
  expect(await history()).toEqual([]);
});

test('a result of a job that an agent made in a conversation, which its gateway adds to it, is in its history', async () => {
  await watch();
  const job = { name: 'By agent', schedule: HOURLY, payload: { kind: 'agentTurn', message: 'On?' } };
  const call = JSON.stringify({ id: 'automations', args: { action: 'add', job } });
  const { messageId } = await send(`[[TOOL tool_call ${call}]] [[SAY Done.]]`, 'Made here');
  const [made] = (await listCrons(live.client)).filter(({ name }) => name === 'By agent');
  await runCron(live.client, made!.id);

  const result = await eventually(async () => {
    const found = (await history('?sessionId=Made%20here')).find(({ source }) => source === 'cron');
    if (!found) throw new Error('no result yet');
    return found;
  });

  expect(result).toMatchObject({ jobName: 'By agent', sessionId: 'Made here', status: 'completed' });
  expect(await eventOf('By agent', result.content)).toMatchObject({ messageId: expect.stringMatching(/^msg_/) });
  const [question, answer, ...results] = await history('?sessionId=Made%20here');
  expect([question, answer]).toMatchObject([{ role: 'user' }, { messageId, source: 'agent', jobName: null }]);
  expect(results.every(({ source }) => source === 'cron')).toBe(true);
});

test('what an agent says by itself in a conversation is in its history at the moment when it was said, heard or read back', async () => {
  const { api, client } = live;
  await watch();
  const { messageId } = await send('[[SAY Hello.]]', 'Own');
  const [row] = await api.sql<{ id: string }>('select conversation_id as id from messages where id = ?', [messageId]);
  const sessionKey = sessionKeyOf({ gatewayAgentId: AGENT, conversationId: row!.id });
  const say = (key: string, text: string) =>
    sendTurn(client, {
      ...{
        key: `${key}-${AGENT}`,
        sessionKey,
        agentId: AGENT,
        message: `[[SAY ${text}]]`,
        saidAt: new Date(),
        traceId: 'ab'.repeat(16),
        timeoutSeconds: PATIENCE_MS / 1_000,
      },
    });
  const contents = async () => (await history('?sessionId=Own')).map(({ content }) => content);

  await say('wake-1', 'By the way.');
  const heard = await eventOf(null, 'By the way.');
  const watching = open.splice(0);
  for (const one of watching) await one.stop();
  await say('wake-2', 'One more thing.');
  await eventually(async () =>
    expect(JSON.stringify(await client.request('chat.history', { sessionKey }))).toContain('"text":"One more thing."'),
  );
  await send('[[SAY Later.]]', 'Own');
  expect(await contents()).toEqual(['[[SAY Hello.]]', 'Hello.', 'By the way.', '[[SAY Later.]]', 'Later.']);
  await watch();
  const readBack = await eventOf(null, 'One more thing.');

  expect(await contents()).toEqual([
    ...['[[SAY Hello.]]', 'Hello.', 'By the way.'],
    ...['One more thing.', '[[SAY Later.]]', 'Later.'],
  ]);
  for (const event of [heard, readBack]) {
    const said = { content: event.content, status: 'completed', source: 'agent', jobName: null, sessionId: 'Own' };
    expect(await get(event.messageId)).toMatchObject(said);
    expect(await get(event.messageId)).not.toHaveProperty('requestMessageId');
    expect(await told(event.messageId)).toMatchObject([{ eventType: 'agent.message', data: { content: event.content } }]);
  }
});
