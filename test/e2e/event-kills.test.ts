import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cacheDirOf } from '../../lib/cache-dir.ts';
import { createDriver } from '../../runtime/create-driver.ts';
import type { RuntimeDriver } from '../../runtime/driver.ts';
import { ensureOpenClaw } from '../../runtime/openclaw/install/installation.ts';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { killPid } from '../../runtime/host/process-identity.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { temporaryDir } from '../local/temporary-dir.ts';
import { createApiClient } from '../support/api-client.ts';
import type { ApiClient, Json } from '../support/api-client.ts';
import { campaignRounds, createDice, describeCounts, reportCampaign } from '../support/campaign.ts';
import type { Dice } from '../support/campaign.ts';
import { installForCampaign } from '../support/campaign-openclaw.ts';
import { eventually, PATIENCE_MS, TEST_LIMIT_MS } from '../support/eventually.ts';
import { startFakeModel } from '../support/fake-model.ts';
import type { FakeModel } from '../support/fake-model.ts';
import { npmStart, pidsOf, postgresPid, untilItRuns } from '../support/npm-start.ts';
import type { Start } from '../support/npm-start.ts';
import { newAgent } from '../support/patient-client.ts';
import { registerAccount } from '../support/register-account.ts';
import { answering, startWebhookReceiver } from '../support/webhook-receiver.ts';
import type { WebhookReceiver } from '../support/webhook-receiver.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';
import { EventStream, LONG, runsOfGateway } from './event-stream.ts';

const ROUNDS = campaignRounds();
/** Within which what is to be killed in a round is killed. */
const ROUND_MS = 6_000;
const KILLS_PER_ROUND = 2;
const VICTIMS = ['gateway', 'worker', 'api', 'postgres', 'temporal', 'relay'] as const;
const CONVERSATIONS = ['one', 'two', 'three'];
const OPERATOR_TOKEN = 'operator-token-of-the-event-kills';

type Victim = (typeof VICTIMS)[number];

let openClaw: StandIn | undefined;
let dataDir: string;
let start: Start;
let model: FakeModel;
let receiver: WebhookReceiver;
let driver: RuntimeDriver;
let account: ApiClient;
let stream: EventStream;
const webhooks = new Map<string, string>();

afterAll(async () => {
  if (start?.child.exitCode === null) {
    start.child.kill('SIGTERM');
    await once(start.child, 'exit');
  }
  // A worker that was killed a moment ago may not have stopped its gateway.
  for (const { runtimeId } of (await driver?.list()) ?? [])
    await driver.destroy(runtimeId, { epoch: Number.MAX_SAFE_INTEGER, signal: AbortSignal.timeout(PATIENCE_MS) });
  await receiver?.close();
  await model?.close();
  await openClaw?.remove();
});
// After that: what runs is ended before its folder goes.
const dir = temporaryDir();

beforeAll(async () => {
  dataDir = dir.path('killed');
  [model, receiver] = await Promise.all([startFakeModel(), startWebhookReceiver()]);
  openClaw = await installForCampaign();
  start = await npmStart(dataDir, {
    MODEL_UPSTREAM_URL: model.url,
    OPERATOR_TOKEN,
    RATE_LIMIT_PER_MINUTE: '1000000',
    ...(openClaw && { XDG_CACHE_HOME: openClaw.cacheHome }),
  });
  await untilItRuns(start);
  const cacheDir = cacheDirOf(process.env);
  const config = { RUNTIME: 'process', DATA_DIR: dataDir, RELAY_HOST: '127.0.0.1', RELAY_PORT: start.port + 1 } as const;
  const openclaw = await ensureOpenClaw({ cacheDir, env: process.env });
  driver = createDriver(config, { openclaw, cacheDir, node: process.execPath });
  const url = `http://127.0.0.1:${start.port}`;
  account = await registerAccount(url, createApiClient(url, { authorization: `Bearer ${OPERATOR_TOKEN}` }));
  const { instanceId } = await account.ok('POST', '/instances', { name: 'kills' });
  const { agentId } = await newAgent(account, instanceId);
  stream = new EventStream(account, { instanceId, agentId });
  await subscribe();
});

async function subscribe(): Promise<void> {
  let requests = 0;
  receiver.behave('/slow', (response) => void setTimeout(() => response.end('ok'), 300));
  receiver.behave('/flaky', (response) => void response.writeHead((requests += 1) % 3 === 0 ? 500 : 200).end());
  receiver.behave('/dead', answering(500));
  for (const path of ['/healthy', '/slow', '/flaky', '/dead']) {
    const { webhookId } = await account.ok('POST', '/webhooks', { url: `${receiver.url}${path}`, events: ['*'] });
    webhooks.set(path, webhookId);
  }
}

/** False when it does not run at this moment. */
async function kill(victim: Victim): Promise<boolean> {
  const pid = await pidOf(victim).catch(() => undefined);
  if (pid !== undefined) killPid(pid, 'SIGKILL');
  return pid !== undefined;
}

async function pidOf(victim: Victim): Promise<number | undefined> {
  if (victim === 'postgres') return postgresPid(dataDir);
  if (victim !== 'gateway') return (await pidsOf(dataDir))[victim];
  const [runtime] = await driver.list();
  return runtime?.status === 'running' ? (await readRecord(layoutOf(dataDir, runtime.runtimeId)))?.pid : undefined;
}

/** Each once, in random order, before any comes again. */
function* victims({ below }: Dice): Generator<Victim> {
  for (;;) for (const left = [...VICTIMS]; left.length > 0;) yield* left.splice(below(left.length), 1);
}

const kills: Partial<Record<Victim, number>> = {};

/** Kills these within some seconds, and returns when every conversation goes on. */
async function runRound(round: number, targets: Victim[], dice: Dice): Promise<void> {
  const at = new Date(Date.now() + 2_000 + dice.below(ROUND_MS)).toISOString();
  const scheduled = stream.schedule(`Once ${round}`, { kind: 'at', at }, `[[SAY ${LONG}]]`);
  await Promise.all(
    targets.map(async (target) => {
      await sleep(dice.below(ROUND_MS));
      if (await kill(target)) kills[target] = (kills[target] ?? 0) + 1;
    }),
  );
  // One that was under way, and one that began afterwards.
  await Promise.all([scheduled, ...CONVERSATIONS.map((conversation) => stream.hasGoneOn(conversation, 2))]);
  process.stderr.write(
    `event kills: round ${round} of ${ROUNDS}, killed ${targets.join(' and ')}; ${stream.told.length} turns so far\n`,
  );
}

const alphabetically = (one: string, other: string) => one.localeCompare(other);
const countByName = (names: string[]) =>
  Object.fromEntries([...Map.groupBy(names, (name) => name)].map(([name, { length }]) => [name, length]));
const isOfJob = ({ jobName }: Json) => jobName !== null;

/** All events, once every run that the gateway tells of is one of them. */
async function allEvents(): Promise<Json[]> {
  const events = await eventually(async () => {
    const [runs, found] = [await runsOfGateway({ dataDir, driver }), await stream.events()];
    expect(countByName(found.filter(isOfJob).map(({ jobName }) => jobName))).toEqual(countByName(runs));
    return found;
  });
  expect(events.map(({ seq }) => seq)).toEqual(events.map((_event, index) => index + 1));
  return events;
}

/** Runs of jobs have their full text, or are errors. */
function provesRuns(events: Json[]): void {
  const results = events.filter(isOfJob).map(({ eventType, content }) => ({ eventType, content }));
  const [answer, failure] = [
    { eventType: 'cron.completed', content: LONG },
    { eventType: 'agent.error', content: '' },
  ];
  expect(results).toEqual(results.map(({ eventType }) => (eventType === failure.eventType ? failure : answer)));
}

/** Turns are what their caller was told, each once. */
function provesTurns(events: Json[]): void {
  const ofTurns = events.filter((event) => !isOfJob(event));
  const idsOf = (list: { messageId: string }[]) => list.map(({ messageId }) => messageId).toSorted(alphabetically);
  expect(idsOf(ofTurns)).toEqual(idsOf(stream.told));
  for (const { messageId, content } of stream.told)
    expect(ofTurns.find((event) => event.messageId === messageId)).toMatchObject({
      eventType: content === null ? 'agent.error' : 'agent.message',
      content: content ?? '',
    });
}

/** Every endpoint got every event, always with the same bytes. */
async function provesDeliveries(events: Json[]): Promise<void> {
  for (const [path, webhookId] of webhooks) {
    receiver.behave(path, answering(200));
    // What waits for its next try goes at once.
    for (const enabled of [false, true]) await account.ok('PATCH', `/webhooks/${webhookId}`, { enabled });
  }
  const eventIds = new Set(events.map(({ eventId }) => eventId));
  await eventually(async () => {
    for (const [path, webhookId] of webhooks) {
      expect(receiver.eventsAt(path)).toEqual(eventIds);
      for (const status of ['pending', 'failed'])
        expect((await account.ok('GET', `/webhooks/${webhookId}/deliveries?status=${status}`)).deliveries).toEqual([]);
    }
  });
  for (const [path] of webhooks) {
    const received = receiver.received.filter((one) => one.path === path);
    expect(new Set(received.map(({ body }) => body)).size).toBe(eventIds.size);
  }
}

function summaryOf(events: Json[]): string {
  const jobs = countByName(events.filter(isOfJob).map(({ jobName }) => jobName.split(' ')[0]));
  const repeated = receiver.received.length - webhooks.size * events.length;
  return [
    `${ROUNDS} rounds, killed: ${describeCounts(kills)}`,
    `${events.length} events (${stream.told.length} turns, runs of jobs: ${describeCounts(jobs)}) x ${webhooks.size} endpoints`,
    `${receiver.received.length} requests (${repeated} repeated or refused)`,
    'none lost, none double, no gap',
  ].join('; ');
}

test(
  'whoever is killed, each thing that happens is one event, and every event reaches every endpoint',
  async () => {
    const dice = createDice('event kills');
    const deck = victims(dice);
    await stream.schedule('Often', { kind: 'every', everyMs: 3_000 }, `[[SAY ${LONG}]]`);
    await stream.schedule('Failing', { kind: 'every', everyMs: 5_000 }, '[[FAIL 400]]');
    const talking = Promise.all(CONVERSATIONS.map((conversation) => stream.talk(conversation)));
    for (let round = 1; round <= ROUNDS; round += 1) {
      const targets = Array.from({ length: KILLS_PER_ROUND }, () => deck.next().value);
      await Promise.race([talking, runRound(round, targets, dice)]);
    }
    stream.hush();
    await talking;
    await stream.endSchedules();

    const events = await allEvents();
    provesRuns(events);
    provesTurns(events);
    await provesDeliveries(events);
    const outcome = summaryOf(events);
    const killed = Object.values(kills).reduce((sum, count) => sum + count, 0);
    const counts = { kills: killed, turns: stream.told.length, events: events.length, endpoints: webhooks.size };
    await reportCampaign({ name: 'event kills', seed: dice.seed, counts, outcome, file: import.meta.filename });
  },
  TEST_LIMIT_MS * (ROUNDS + 4),
);
