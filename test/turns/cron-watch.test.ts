import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { z } from 'zod';
import { addCron, removeCron, runCron } from '../../runtime/openclaw/content/crons.ts';
import type { NewCron } from '../../runtime/gateway/gateway-jobs.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import { sendTurn } from '../../runtime/openclaw/conversation/agent-turn.ts';
import { listCrons } from '../support/cron-lists.ts';
import { eventually, PATIENCE_MS, TEST_LIMIT_MS } from '../support/eventually.ts';
import { AGENT, startGateway } from '../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../support/gateway-under-test.ts';
import { startApi, startWatch } from './processes-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { NewAgent } from '../factories.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

/** A conversation in which the agent speaks without being asked. */
const OWN = `agent:${AGENT}:conv:own`;
const LONG = `${'All is well. '.repeat(300)}The end.`;

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;
let client: GatewayClient;
let instance: NewAgent;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  // One of its own: a gateway's job service takes the agent that was the first at its start for the default one.
  [turns, gateway] = await Promise.all([openTurns(), startGateway([AGENT])]);
  client = await gateway.connect();
});
afterAll(async () => {
  await gateway.close();
  await turns.close();
});
beforeEach(async () => {
  instance = await turns.newInstance({ runtimeId: gateway.runtimeId, bootId: client.bootId, gatewayAgentId: AGENT });
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
  for (const { id, isInternal } of await listCrons(client)) if (!isInternal) await removeCron(client, id);
});

async function watch(): Promise<{ close(): Promise<void> }> {
  const watching = await startWatch(turns, gateway, instance);
  open.push(watching);
  return watching;
}

const HOUR_MS = 3_600_000;
/** Runs when a test says so, so that none is under way when the job is removed. */
const NEVER = { kind: 'every', everyMs: HOUR_MS } as const;
/** A moment that is not over before the gateway has heard of it. */
const soon = () => ({ kind: 'at', at: new Date(Date.now() + 10_000).toISOString() }) as const;

const newCron = (cronId: string, changes: Partial<NewCron> = {}): NewCron => ({
  cronId,
  agentId: AGENT,
  name: 'Digest',
  schedule: NEVER,
  message: '[[SAY Nothing new.]]',
  enabled: true,
  ...changes,
});

/** As an agent adds one: it deletes itself when it has run. */
async function addFleeting(name: string, schedule: object, message: string): Promise<string> {
  const how = { sessionTarget: 'isolated', wakeMode: 'now', delivery: { mode: 'none' } };
  const job = { name, agentId: AGENT, schedule, payload: { kind: 'agentTurn', message }, ...how };
  return idOf.parse(await client.request('cron.add', job)).id;
}

const idOf = z.looseObject({ id: z.string() });

interface EventRow {
  type: string;
  content: string | null;
  source: string;
  jobName: string | null;
  truncated: boolean;
  code: string | null;
  seq: number;
}

/** The events of the instance about this job, or of no job, in their order. */
const eventsOf = (jobName: string | null): Promise<EventRow[]> =>
  turns.rows<EventRow>(
    `select type, content, source, job_name as "jobName", content_truncated as truncated, error_code as code, seq::float8 as seq
       from events where instance_id = ? and job_name is not distinct from ? order by seq`,
    [instance.instanceId, jobName],
  );
/** Each event of the instance from there has a message, which says the same, and there are no others. */
async function expectMessages(source: 'cron' | 'agent', count: number): Promise<void> {
  const messages = await turns.rows(
    `select messages.content from messages
       join events on events.message_id = messages.id and events.content = messages.content and events.source = messages.source
      where messages.instance_id = ? and messages.source = ?`,
    [instance.instanceId, source],
  );
  const all = await turns.rows('select id from messages where instance_id = ? and source = ?', [instance.instanceId, source]);
  expect([messages.length, all.length]).toEqual([count, count]);
}

const jobsOf = () =>
  turns.rows<{ name: string; createdBy: string; removed: boolean; lastEventId: string | null }>(
    `select name, created_by as "createdBy", removed_at is not null as removed, last_event_id as "lastEventId"
       from cron_jobs where instance_id = ? order by created_at`,
    [instance.instanceId],
  );
const atLeast = (count: number, jobName: string | null) =>
  eventually(async () => {
    const found = await eventsOf(jobName);
    expect(found.length).toBeGreaterThanOrEqual(count);
    return found;
  });
/** The gateway's own account of the job's runs. */
async function runsOf(jobId: string): Promise<number> {
  const answer = await client.request('cron.runs', { id: jobId, limit: 200 });
  return JSON.stringify(answer).split('"runAtMs"').length - 1;
}

test('every result of a job is one event and one message with its full text, whoever watches, and however often they connect', async () => {
  const first = await watch();
  const { id } = await addCron(client, newCron('cron_live', { name: 'Live', message: `[[SAY ${LONG}]]` }));
  await runCron(client, id);
  await atLeast(1, 'Live');
  await watch();
  await runCron(client, id);
  await atLeast(2, 'Live');
  await runCron(client, id);
  await first.close();
  await watch();
  await atLeast(3, 'Live');
  await runCron(client, id);
  await atLeast(4, 'Live');
  await removeCron(client, id);

  await eventually(async () => expect(await runsOf(id)).toBe(4));
  const events = await eventsOf('Live');
  expect(events).toHaveLength(4);
  for (const event of events)
    expect(event).toMatchObject({ type: 'cron.completed', content: LONG, source: 'cron', truncated: false });
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1));
  await expectMessages('cron', events.length);
});

test('a job of an agent whose name, message and result hold NUL or half a character is shown and recorded', async () => {
  await watch();
  await addFleeting('Odd\0name', soon(), 'odd\ud83d message [[PIECES ["done\\u0000", " \\ud83d."]]]');

  await eventually(async () => expect(await jobsOf()).toMatchObject([{ name: 'Odd\ufffdname' }]));
  const events = await atLeast(1, 'Odd\ufffdname');
  expect(events).toMatchObject([{ type: 'cron.completed', content: 'done\ufffd \ufffd.' }]);
});

test('an attachment in the result of a job is a line at its end', async () => {
  await watch();
  const message = '[[PIECES ["MEDIA:./a.png\\n", "Look."]]]';
  const { id } = await addCron(client, newCron('cron_media', { name: 'Media', message }));
  await runCron(client, id);

  expect((await atLeast(1, 'Media'))[0]).toMatchObject({ type: 'cron.completed', content: 'Look.\nMEDIA:./a.png' });
});

test('what jobs did while nobody was connected is read back, also of a job that is gone', async () => {
  const before = await watch();
  const later = { kind: 'at', at: new Date(Date.now() + HOUR_MS).toISOString() } as const;
  const once = await addCron(client, newCron('cron_once', { name: 'Once', schedule: later, message: `[[SAY ${LONG}]]` }));
  const often = await addCron(client, newCron('cron_often', { name: 'Often', message: '[[SAY Again.]]' }));
  const failing = await addCron(client, newCron('cron_failing', { name: 'Failing', message: '[[FAIL 400]]' }));
  const fleeting = await addFleeting('Fleeting', later, `[[SAY ${LONG}]]`);
  await eventually(async () => expect(await jobsOf()).toHaveLength(4));
  await before.close();
  expect(await eventsOf('Once')).toEqual([]);

  await client.request('cron.update', { id: once.id, patch: { schedule: soon(), deleteAfterRun: false } });
  await client.request('cron.update', { id: fleeting, patch: { schedule: soon(), deleteAfterRun: true } });
  for (let runs = 1; runs <= 3; runs += 1) {
    await runCron(client, often.id);
    await eventually(async () => expect(await runsOf(often.id)).toBe(runs));
  }
  await runCron(client, failing.id);
  await eventually(async () => expect((await listCrons(client)).some(({ name }) => name === 'Fleeting')).toBe(false));
  for (const { id } of [once, failing]) await eventually(async () => expect(await runsOf(id)).toBe(1));
  for (const { id } of [often, failing]) await removeCron(client, id);
  await watch();

  await eventually(async () => expect(await eventsOf('Often')).toHaveLength(3));
  expect(await atLeast(1, 'Once')).toMatchObject([{ type: 'cron.completed', content: LONG, truncated: false }]);
  expect(await atLeast(1, 'Fleeting')).toMatchObject([{ type: 'cron.completed', content: LONG, truncated: false }]);
  const failed = await atLeast(1, 'Failing');
  expect(failed[0]).toMatchObject({
    type: 'agent.error',
    content: null,
    source: 'cron',
    code: expect.stringMatching(/^(model_error|agent_failed)$/),
  });
  await eventually(async () => {
    const gone = (await jobsOf()).filter(({ removed }) => removed).map(({ name }) => name);
    expect(gone.toSorted()).toEqual(['Failing', 'Fleeting', 'Often']);
  });
  expect((await jobsOf()).every(({ lastEventId }) => lastEventId !== null)).toBe(true);
});

test('the error of a run says whether its job runs again', async () => {
  await watch();
  await addCron(client, newCron('cron_once_failing', { name: 'Once failing', schedule: soon(), message: '[[FAIL 400]]' }));
  const often = await addCron(client, newCron('cron_often_failing', { name: 'Often failing', message: '[[FAIL 400]]' }));
  await runCron(client, often.id);
  const messageOf = async (name: string) => {
    await atLeast(1, name);
    const [event] = await turns.rows<{ message: string }>(
      'select error_message as message from events where instance_id = ? and job_name = ? order by seq limit 1',
      [instance.instanceId, name],
    );
    return event?.message;
  };

  expect(await messageOf('Often failing')).toMatch(/ The job runs again at its next scheduled time\.$/);
  expect(await messageOf('Once failing')).toMatch(/ The job is not scheduled to run again\.$/);
});

test('a job that the agent made itself is known and reported as its own', async () => {
  await watch();
  const api = await startApi(turns, gateway);
  open.push(api);
  const job = {
    name: 'By agent',
    schedule: NEVER,
    payload: { kind: 'agentTurn', message: 'What is on?' },
  };
  const call = JSON.stringify({ id: 'automations', args: { action: 'add', job } });

  const { followed } = await api.say(instance, { text: `[[TOOL tool_call ${call}]] [[SAY Done.]]` });

  expect(await followed.ended).toMatchObject({ status: 'completed' });
  const made = (await listCrons(client)).find(({ name }) => name === 'By agent');
  await runCron(client, idOf.parse(made).id);
  const [event] = await atLeast(1, 'By agent');
  expect(event).toMatchObject({ type: 'cron.completed', source: 'cron' });
  expect(await jobsOf()).toMatchObject([{ name: 'By agent', createdBy: 'agent', removed: false }]);
  // The gateway also shows its result in the conversation.
  expect(await eventsOf(null)).toMatchObject([{ type: 'agent.message', content: expect.stringContaining('Done.') }]);
});

test('what an agent says to a reminder that it made for itself is the result of that job, heard or read back', async () => {
  const before = await watch();
  const schedule = { kind: 'every', everyMs: 3_600_000 };
  const reminder = { name: 'Reminder', agentId: AGENT, schedule, sessionTarget: 'main', wakeMode: 'now' };
  const text = `Look after the plants. [[SAY ${LONG}]]`;
  const added = await client.request('cron.add', { ...reminder, payload: { kind: 'systemEvent', text } });
  const { id } = idOf.parse(added);
  await eventually(async () => expect(await jobsOf()).toHaveLength(1));
  await client.request('cron.run', { id, mode: 'force' });
  await atLeast(1, 'Reminder');
  await before.close();
  await client.request('cron.run', { id, mode: 'force' });
  await eventually(async () => expect(await runsOf(id)).toBe(2));
  await removeCron(client, id);

  await watch();
  await watch();

  await atLeast(2, 'Reminder');
  const event = { type: 'cron.completed', content: LONG, source: 'cron', truncated: false };
  expect(await eventsOf('Reminder')).toMatchObject([event, event]);
  expect(await eventsOf(null)).toEqual([]);
});

test(
  'a run in which the gateway died is one error, and the next one has its full text',
  async () => {
    await watch();
    const { id } = await addCron(
      client,
      newCron('cron_killed', { name: 'Killed', message: `[[SAY ${LONG}]] [[HOLD killed 3]]` }),
    );
    await runCron(client, id);
    await gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes('HOLD killed'));
    await gateway.kill();
    await gateway.start();
    client = await gateway.connect();
    await watch();
    gateway.model.release('killed');
    await watch();

    await atLeast(1, 'Killed');
    await client.request('cron.run', { id, mode: 'force' });
    await atLeast(2, 'Killed');
    await removeCron(client, id);
    await eventually(async () => expect((await eventsOf('Killed')).length).toBe(await runsOf(id)));
    const [interrupted, ...later] = await eventsOf('Killed');
    expect(interrupted).toMatchObject({ type: 'agent.error', content: null, code: 'agent_failed' });
    for (const event of later) expect(event).toMatchObject({ type: 'cron.completed', content: LONG, truncated: false });
  },
  TEST_LIMIT_MS,
);

test('what an agent says without being asked is one event, heard or read back; what it answers is no second one', async () => {
  const say = (key: string, text: string) =>
    sendTurn(client, {
      key: `${key}-${AGENT}`,
      agentId: AGENT,
      sessionKey: OWN,
      message: `[[SAY ${text}]]`,
      saidAt: new Date(),
      traceId: 'ab'.repeat(16),
      timeoutSeconds: PATIENCE_MS / 1_000,
    });
  const before = await watch();
  await say('wake-1', 'By the way.');
  await atLeast(1, null);
  await before.close();
  await say('wake-2', 'One more thing.');
  await eventually(async () =>
    expect(JSON.stringify(await client.request('chat.history', { sessionKey: OWN }))).toContain(`"wake-2-${AGENT}"`),
  );

  await watch();
  await watch();

  await atLeast(2, null);
  await expectMessages('agent', 2);
  const api = await startApi(turns, gateway);
  open.push(api);
  const { followed } = await api.say(instance, { text: 'asked [[SAY Asked.]]' });
  await followed.ended;
  expect(await eventsOf(null)).toMatchObject([
    { type: 'agent.message', content: 'By the way.', source: 'agent' },
    { type: 'agent.message', content: 'One more thing.' },
    { type: 'agent.message', content: 'Asked.' },
  ]);
});

test('the jobs of a deleted agent are removed from the gateway', async () => {
  const { id } = await addCron(client, newCron('cron_orphan'));
  const before = await watch();
  await eventually(async () => expect(await jobsOf()).toHaveLength(1));
  await before.close();
  await turns.rows('update agents set deleted_at = now() where id = ? returning id', [instance.agentId]);

  await watch();

  await eventually(async () => expect((await listCrons(client)).some((job) => job.id === id)).toBe(false));
});
