import { setTimeout as sleep } from 'node:timers/promises';
import Anthropic from '@anthropic-ai/sdk';
import { OpenAI } from 'openai';
import { eventually } from '../support/eventually.ts';
import { newAgent } from '../support/patient-client.ts';
import { framesOf } from '../support/stream-reader.ts';
import { IDLE_MS } from './bare-turn.ts';
import type { TurnTimes } from './bare-turn.ts';
import { timed } from './bench.ts';
import type { Bench } from './bench.ts';
import { openStraight } from './messages.ts';
import { median } from './table.ts';
import type { Row } from './table.ts';

const MESSAGE = 'hello [[WORDS 10]]';
const TURNS = 40;
const RESUMES = 30;
const FIRST_TOKEN_ADDED_MS = 6;
const ANSWER_ADDED_MS = 15;
const RESUME_MS = 30;

type Turn = () => Promise<TurnTimes>;

/** The same streamed turn by each door, in turns with one that is sent straight to the gateway; and a stream that is gone on with. */
export const benchDoors: Bench = async ({ stack, say }) => {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances', { name: 'bench' });
  const { agentId } = await newAgent(account, instanceId);
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bench' });
  const openai = new OpenAI({ apiKey, baseURL: `${stack.url}/openai/v1` });
  const anthropic = new Anthropic({ apiKey, baseURL: `${stack.url}/anthropic` });
  const straight = await openStraight(stack, agentId);
  const turns: Record<string, Turn> = {
    straight: straight.turn,
    'chat completions': () => throughChat(openai, agentId),
    responses: throughResponses(openai, agentId),
    sessions: await openSession(anthropic, instanceId),
  };
  const times = new Map<string, TurnTimes[]>(Object.keys(turns).map((name) => [name, []]));
  for (const turn of Object.values(turns)) await eventually(turn);
  for (let round = 0; round < TURNS; round += 1) {
    // In another order each time: what a turn takes also depends on which one came before.
    for (const [name, turn] of shuffled(Object.entries(turns))) {
      // A gateway takes longer for the first turn after one of another agent: only the second one counts.
      await turn();
      await sleep(IDLE_MS);
      times.get(name)?.push(await turn());
    }
    if (round % 10 === 9) say(`  ${round + 1} turns by each door`);
  }
  straight.close();
  const messages = `/instances/${instanceId}/agents/${agentId}/messages`;
  const { messageId } = await account.ok('POST', messages, { message: 'hello [[WORDS 2000]]' });
  const frames = [];
  for await (const frame of framesOf(await account.raw('GET', `${messages}/${messageId}/stream`))) frames.push(frame);
  const after = frames[Math.floor(frames.length / 2)]?.id ?? '';
  const resumes: number[] = [];
  for (let resume = 0; resume < RESUMES; resume += 1)
    resumes.push(
      await timed(async () => {
        for await (const { data } of framesOf(await account.raw('GET', `${messages}/${messageId}/stream?after=${after}`)))
          if (data !== '') return;
      }),
    );
  await account.ok('DELETE', `/instances/${instanceId}`);
  const resume = { what: 'a stream that is gone on with: its next character', values: resumes, unit: 'ms' as const };
  return [
    ...rowsOf(times, 'first token', 'firstTokenMs', FIRST_TOKEN_ADDED_MS),
    ...rowsOf(times, 'answer', 'answerMs', ANSWER_ADDED_MS),
    { ...resume, goal: `p50 <= ${RESUME_MS}`, reached: median(resumes) <= RESUME_MS },
  ];
};

function shuffled<T>(list: T[]): T[] {
  return list
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item);
}

function rowsOf(times: ReadonlyMap<string, TurnTimes[]>, what: string, field: keyof TurnTimes, most: number): Row[] {
  const valuesOf = (name: string) => (times.get(name) ?? []).map((turn) => turn[field]);
  const baseline = median(valuesOf('straight'));
  return [...times.keys()].map((name): Row => {
    const values = valuesOf(name);
    if (name === 'straight')
      return { what: `${what}: straight to the gateway`, values, unit: 'ms', goal: 'the baseline', reached: null };
    const added = median(values) - baseline;
    const goal = `<= ${most} added p50 (added ${added.toFixed(1)})`;
    return { what: `${what}: through ${name}`, values, unit: 'ms', goal, reached: added <= most };
  });
}

/** Notes when the first text of a turn came, and when it had ended. */
async function timesOf(texts: () => AsyncGenerator<string>): Promise<TurnTimes> {
  const startedAt = performance.now();
  let firstTokenMs = Number.NaN;
  for await (const text of texts()) if (text !== '' && Number.isNaN(firstTokenMs)) firstTokenMs = performance.now() - startedAt;
  return { firstTokenMs, answerMs: performance.now() - startedAt };
}

function throughChat({ chat }: OpenAI, model: string): Promise<TurnTimes> {
  return timesOf(async function* () {
    const messages = [{ role: 'user' as const, content: MESSAGE }];
    const metadata = { sessionId: 'bench' };
    for await (const { choices } of await chat.completions.create({ model, messages, metadata, stream: true }))
      yield choices[0]?.delta.content ?? '';
  });
}

/** One conversation, in which each input answers the response before. */
function throughResponses({ responses }: OpenAI, model: string): Turn {
  let previous: string | undefined;
  return () =>
    timesOf(async function* () {
      const body = { model, input: MESSAGE, stream: true as const, ...(previous && { previous_response_id: previous }) };
      for await (const event of await responses.create(body)) {
        if (event.type === 'response.created') previous = event.response.id;
        if (event.type === 'response.output_text.delta') yield event.delta;
      }
    });
}

/** A session whose events are heard all the time, as its clients do. */
async function openSession({ beta }: Anthropic, instanceId: string): Promise<Turn> {
  const agent = await beta.agents.create({ name: 'Bench', model: 'any' });
  const session = await beta.sessions.create({ agent: agent.id, environment_id: instanceId.replace('inst_', 'env_') });
  const content = [{ type: 'text' as const, text: MESSAGE }];
  const stream = await beta.sessions.events.stream(session.id, { event_deltas: ['agent.message'] });
  const events = stream[Symbol.asyncIterator]();
  return () =>
    timesOf(async function* () {
      const sending = beta.sessions.events.send(session.id, { events: [{ type: 'user.message', content }] });
      for (;;) {
        const { value, done } = await events.next();
        if (done === true || value.type === 'session.status_idle') break;
        if (value.type === 'event_delta' && value.delta.type === 'content_delta') yield value.delta.content.text;
      }
      await sending;
    });
}
