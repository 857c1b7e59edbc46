import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import Anthropic from '@anthropic-ai/sdk';
import { Client } from 'pg';
import { readRecord } from '../../runtime/process/gateway-record.ts';
import { killPid } from '../../runtime/host/process-identity.ts';
import { layoutOf } from '../../runtime/host/runtime-layout.ts';
import { campaignRounds, createDice, describeCounts, reportCampaign } from '../support/campaign.ts';
import type { Dice } from '../support/campaign.ts';
import { installForCampaign } from '../support/campaign-openclaw.ts';
import { eventually, PATIENCE_MS, TEST_LIMIT_MS } from '../support/eventually.ts';
import { newAgent, untilStatus } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';
import { chatClient, responseClient, sessionClient, streamClient } from './door-clients.ts';
import type { DoorClient, DoorPlace, DoorTurn } from './door-clients.ts';

const ROUNDS = campaignRounds();
/** One round, in every test run, has fewer clients. */
const CLIENTS_OF_A_DOOR =
  ROUNDS > 1 ? { streams: 9, responses: 7, chats: 7, sessions: 7 } : { streams: 3, responses: 2, chats: 2, sessions: 2 };
const VICTIMS = ['api', 'worker', 'gateway', 'relay'] as const;
type Victim = (typeof VICTIMS)[number];
/** Within which a victim is killed, and within which it is started again. */
const KILL_WITHIN_MS = 3_000;
const AWAY_MS = 1_500;

let openClaw: StandIn | undefined;
let stack: StackUnderTest;
let place: DoorPlace;
let instanceId: string;
const dice = createDice('door kills');
const clients: DoorClient[] = [];
const turns: DoorTurn[] = [];
const kills: Record<string, number> = {};
const over = new AbortController();

beforeAll(async () => {
  openClaw = await installForCampaign();
  stack = await startStack({ ...(openClaw && { openClaw }) });
  const account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'doors' }));
  const { agentId } = await newAgent(account, instanceId);
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'doors' });
  place = { url: stack.url, apiKey, account, agentId, path: `/instances/${instanceId}/agents/${agentId}` };
  const { beta } = new Anthropic({ apiKey, baseURL: `${stack.url}/anthropic` });
  const { id } = await beta.agents.create({ name: 'Helper', model: 'any' });
  const { streams, responses, chats, sessions } = CLIENTS_OF_A_DOOR;
  clients.push(...Array.from({ length: streams }, () => streamClient(place, dice)));
  clients.push(...Array.from({ length: responses }, () => responseClient(place, dice)));
  clients.push(...Array.from({ length: chats }, () => chatClient(place)));
  clients.push(...(await Promise.all(Array.from({ length: sessions }, () => sessionClient(place, dice, id)))));
});
afterAll(async () => {
  over.abort();
  await stack?.close();
  await openClaw?.remove();
});

/** Has turns until the campaign is over. */
async function talk(client: DoorClient, number: number, { below }: Dice): Promise<void> {
  for (let turn = 1; !over.signal.aborted; turn += 1)
    turns.push(await client(`client ${number} turn ${turn} [[WORDS ${3 + below(30)}]] [[DELAY ${below(40)}]]`));
}

async function kill(victim: Victim): Promise<void> {
  await sleep(dice.below(KILL_WITHIN_MS));
  if (victim === 'gateway') {
    const [runtime] = await stack.driver.list();
    const record = runtime?.status === 'running' ? await readRecord(layoutOf(stack.dataDir, runtime.runtimeId)) : null;
    if (!record) return;
    killPid(record.pid, 'SIGKILL');
  } else {
    await stack.kill(victim);
    await sleep(dice.below(AWAY_MS));
    await stack.start(victim);
  }
  kills[victim] = (kills[victim] ?? 0) + 1;
}

/** Kills two of them, and returns when clients go on: when a third as many turns have ended as there are clients. */
async function runRound(round: number): Promise<void> {
  const before = turns.length;
  const first = dice.pick(VICTIMS);
  const second = dice.pick(VICTIMS.filter((victim) => victim !== first));
  await Promise.all([kill(first), kill(second)]);
  await untilStatus(place.account, instanceId, 'running');
  await eventually(() => {
    if (turns.length < before + clients.length / 3) throw new Error(`${turns.length - before} turns have ended in this round`);
  }, 2 * PATIENCE_MS);
  process.stderr.write(`door kills: round ${round} of ${ROUNDS}, killed ${first} and ${second}; ${turns.length} turns so far\n`);
}

interface Stored {
  said: string;
  messageId: string;
  status: string;
  content: string;
}

async function storedTurns(): Promise<Stored[]> {
  const database = new Client({ connectionString: stack.databaseUrl });
  await database.connect();
  try {
    const { rows } = await database.query<Stored>(
      `select asked.content as said, reply.id as "messageId", reply.status, reply.content
         from messages asked join messages reply
           on reply.conversation_id = asked.conversation_id and reply.number = asked.number and reply.role = 'agent'
        where asked.role = 'user'`,
    );
    return rows;
  } finally {
    await database.end();
  }
}

test(
  'whoever is killed, what a client received through any door is what is stored, and nothing was said twice',
  async () => {
    const talking = Promise.all(clients.map((client, index) => talk(client, index + 1, dice)));
    for (let round = 1; round <= ROUNDS; round += 1) await Promise.race([talking, runRound(round)]);
    over.abort();
    await talking;

    const stored = new Map((await storedTurns()).map((turn) => [turn.messageId, turn]));
    const inOrder = (texts: string[]) => texts.toSorted((one, other) => one.localeCompare(other));
    expect(inOrder([...stored.values()].map(({ said }) => said))).toEqual(inOrder(turns.map(({ said }) => said)));
    const told = turns.map(({ said, messageId, text }) => ({ said, messageId, text }));
    const expected = turns.map(({ messageId }) => {
      const { said, status, content } = stored.get(messageId) ?? { said: null, status: null, content: null };
      return { said, messageId, text: status === 'completed' ? content : null };
    });
    expect(told).toEqual(expected);

    const answered = turns.filter(({ text }) => text !== null).length;
    const killed = Object.values(kills).reduce((sum, count) => sum + count, 0);
    const outcome = `${ROUNDS} rounds, killed: ${describeCounts(kills)}; ${clients.length} clients, ${turns.length} turns (${answered} answered), every text as stored, none twice`;
    const counts = { kills: killed, clients: clients.length, turns: turns.length, answered };
    await reportCampaign({ name: 'door kills', seed: dice.seed, counts, outcome, file: import.meta.filename });
  },
  TEST_LIMIT_MS * (ROUNDS + 4),
);
