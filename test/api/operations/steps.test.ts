import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { recordSteps } from '../../../database/messages/steps.ts';
import type { Step } from '../../../domain/steps.ts';
import type { Json } from '../../support/api-client.ts';
import { eventually } from '../../support/eventually.ts';
import { GATEWAY_TOKEN } from '../../support/gateway-program.ts';
import { startScripted } from '../../support/scripted-gateway/start-scripted.ts';
import type { ScriptedControl } from '../../support/scripted-gateway/scripted-control.ts';
import { contentOf, framesOf } from '../../support/stream-reader.ts';
import type { Frame } from '../../support/stream-reader.ts';
import { startAgentOf } from '../gateway-agent.ts';
import type { GatewayAgent } from '../gateway-agent.ts';
import { makeRunning } from '../rows.ts';

let of: GatewayAgent;
let control: ScriptedControl;
let path: string;

beforeAll(async () => {
  const { gateway, control: given } = await startScripted();
  control = given;
  of = await startAgentOf(gateway);
  path = `${of.path}/messages`;
});
afterEach(() => control.behave());
afterAll(() => of?.close());

const STEPS = { include: ['steps'] };
const tool = (command: string, more: object = {}) => `[[TOOL exec ${JSON.stringify({ command, ...more })}]]`;
const send = async (message: string, more: object = {}): Promise<Json> => of.account.ok('POST', path, { message, ...more });
const stored = async (messageId: string): Promise<Step[]> =>
  (await of.account.ok('GET', `${path}/${messageId}?include=steps`)).steps;

async function read(response: Response): Promise<Frame[]> {
  const frames: Frame[] = [];
  for await (const frame of framesOf(response)) frames.push(frame);
  return frames;
}
const stream = async (message: string, more: object = {}) =>
  read(await of.account.raw('POST', path, { message, stream: true, ...more }));
const stepsOf = (frames: readonly Frame[]): Step[] =>
  frames.filter(({ event }) => event === 'step').map(({ data }) => JSON.parse(data) as Step);
const statusesOf = (frames: readonly Frame[]) => stepsOf(frames).map(({ name, status }) => `${name} ${status}`);

describe('steps', () => {
  test('are frames of their own among the words of a stream, one when a tool is called and one when it has answered', async () => {
    const frames = await stream(`[[FIRST Let me look.]] ${tool('echo found')} [[SAY It is there.]]`, STEPS);
    const [started, ended] = stepsOf(frames);
    const input = JSON.stringify({ command: 'echo found' });
    const step = { stepId: expect.stringMatching(/^step_[a-f0-9]{20}$/), kind: 'tool', name: 'exec', input };
    expect([started, ended]).toEqual([
      { ...step, ...{ status: 'started', startedAt: expect.any(String), endedAt: null, isError: false, output: null } },
      {
        ...step,
        ...{ status: 'ended', startedAt: started?.startedAt, endedAt: expect.any(String), isError: false, output: 'found' },
      },
    ]);
    expect([started?.stepId, frames.filter(({ event }) => event === 'step').map(({ id }) => id)]).toEqual([
      ended?.stepId,
      [undefined, undefined],
    ]);
    expect([contentOf(frames), frames.at(-1)?.data]).toEqual(['Let me look.\n\nIt is there.', '[DONE]']);
  });

  test('are in no stream that does not ask for them, and no answer', async () => {
    const frames = await stream(`${tool('echo found')} [[SAY Quiet]]`);
    expect(frames.map(({ event }) => event)).toEqual(frames.map(() => undefined));
    const reply = await send(`${tool('echo found')} [[SAY Quiet]]`);
    expect(reply).not.toHaveProperty('steps');
    expect(await of.account.ok('GET', `${path}/${reply.messageId}`)).not.toHaveProperty('steps');
  });

  test('are shown with the reply that they led to, failed ones too, and none for a reply without any', async () => {
    control.misbehave({ kind: 'tool-fails', text: 'No such file' }, { times: 1 });
    const { messageId, requestMessageId } = await send(`${tool('echo one')} ${tool('echo two')} [[SAY Done]]`);
    expect((await stored(messageId)).map(({ status, isError, output }) => [status, isError, output])).toEqual([
      ['ended', true, 'No such file'],
      ['ended', false, 'one'],
      ['ended', false, 'two'],
    ]);
    expect(await stored((await send('[[SAY Nothing to do]]')).messageId)).toEqual([]);
    expect(await of.account.ok('GET', `${path}/${requestMessageId}?include=steps`)).not.toHaveProperty('steps');
  });

  test('show no value of a secret and no token, and at most 4 KiB of an input and an output', async () => {
    const secret = 'correct-horse-battery';
    await of.account.ok('POST', `/instances/${of.instanceId}/secrets`, { secrets: { SECRET: secret } });
    await makeRunning(of.api, of.instanceId, of.client.bootId);
    const said = `${GATEWAY_TOKEN} ${secret}`;
    const long = 'ä'.repeat(2_047) + secret;
    const { messageId } = await send(`${tool(`echo ${said}`)} ${tool(`echo ${long}`)} [[SAY Done]]`);
    const [masked, cut] = await stored(messageId);
    expect(masked).toMatchObject({ input: '{"command":"echo [masked] [masked]"}', output: '[masked] [masked]' });
    expect(cut?.output).toBe(`${'ä'.repeat(2_047)}[m`);
    expect(Buffer.byteLength(cut?.input ?? '')).toBeLessThanOrEqual(4_096);
    const rows = await of.api.sql<{ text: string }>('select steps::text as text from message_steps');
    expect(rows.some(({ text }) => text.includes(secret) || text.includes('correct-horse'))).toBe(false);
  });

  test('of a stream that goes on come again from the first on, and no word twice', async () => {
    const frames = await stream(`[[FIRST One two]] ${tool('echo found')} [[SAY three four]]`, STEPS);
    expect(statusesOf(frames)).toEqual(['exec started', 'exec ended']);
    const messageId = JSON.parse(frames[0]?.data ?? '').id as string;
    const [word] = frames.filter(({ event, id }) => event === undefined && id !== undefined).slice(1);
    for (const more of ['', '&include=steps']) {
      const resumed = await of.account.raw('GET', `${path}/${messageId}/stream?after=${word?.id}${more}`);
      expect(resumed.status).toBe(200);
      const rest = await read(resumed);
      expect(statusesOf(rest)).toEqual(more === '' ? [] : ['exec ended']);
      expect(contentOf(frames.slice(0, frames.indexOf(word!) + 1)) + contentOf(rest)).toBe('One two\n\nthree four');
    }
  });

  test('are seen while the turn goes on, in its stream and with its reply, and stay when it is cancelled', async () => {
    const message = `${tool('echo found', { wait: 'cancelled' })} [[SAY Never]]`;
    const reading = stream(message, { ...STEPS, sessionId: 'cancelled' });
    const messageId = await eventually(async () => {
      const { messages } = await of.account.ok('GET', `${path}?sessionId=cancelled`);
      expect(await stored(messages[1].messageId)).toMatchObject([{ name: 'exec', status: 'ended', output: 'found' }]);
      return messages[1].messageId as string;
    });
    await of.account.ok('POST', `${path}/${messageId}/cancel`);
    const frames = await reading;
    expect(statusesOf(frames)).toEqual(['exec started', 'exec ended']);
    expect(JSON.parse(frames.at(-1)?.data ?? '').error).toMatchObject({ reason: 'cancelled' });
    expect(await stored(messageId)).toMatchObject([{ name: 'exec', status: 'ended' }]);
  });

  test('are the first 200 of a turn, however many its gateway tells of', async () => {
    control.misbehave({ kind: 'tool-flood', calls: 450, bytes: 100 }, { times: 1 });
    const { messageId, content } = await send('[[SAY After all that]]');
    const steps = await stored(messageId);
    expect([content, steps.length]).toEqual(['After all that', 200]);
    expect(steps.map(({ input }) => input)).toEqual(Array.from({ length: 200 }, (_, call) => `{"call":${call}}`));
  });

  test('have no more texts once 4 Mi characters of a turn were looked through', async () => {
    control.misbehave({ kind: 'tool-flood', calls: 6, bytes: 1024 ** 2 }, { times: 1 });
    const steps = await stored((await send('[[SAY After all that]]')).messageId);
    expect(steps.map(({ status, output }) => [status, output?.length ?? null])).toEqual([
      ...Array.from({ length: 3 }, () => ['ended', 4_096]),
      ...Array.from({ length: 3 }, () => ['ended', null]),
    ]);
  });

  test.each([
    ['POST', '', { message: 'Hello', include: ['thoughts'] }, 'include.0'],
    ['POST', '', { message: 'Hello', include: ['steps', 'steps'] }, 'include'],
    ['GET', '/msg_a1b2c3d4e5f6g7h8i9j0?include=all', undefined, 'include'],
    ['GET', '/:messageId/stream?include=all', undefined, 'include'],
  ])('are the only thing to include: %s %s %j', async (method, rest, body, field) => {
    const { messageId } = await send('[[SAY Hi]]');
    const { status, body: answer } = await of.account.call(method, `${path}${rest.replace(':messageId', messageId)}`, body);
    expect([status, answer.error.details[0].path]).toEqual([400, field]);
  });
});

describe('what is stored of steps', () => {
  const step = (number: number, more: Partial<Step> = {}): Step => ({
    stepId: `step_${String(number).padStart(20, '0')}`,
    ...{ kind: 'tool', name: 'exec', status: 'started', input: '{}', output: null, isError: false, endedAt: null },
    startedAt: new Date(number).toISOString(),
    ...more,
  });
  const ended = (number: number, output: string) => step(number, { status: 'ended', endedAt: new Date(9).toISOString(), output });
  const record = (messageId: string, steps: Step[], maxStoredBytes = 1024 ** 4) =>
    recordSteps(of.api.orm.em.fork(), { messageId, steps, now: new Date(), maxStoredBytes });

  test('is what all writers know together: an end is not undone, and the first 200 stay', async () => {
    const { messageId } = await send('[[SAY Nothing]]');
    await record(messageId, [ended(1, 'first'), step(2)]);
    await record(messageId, [step(1), ended(2, 'second'), step(3)]);
    await record(messageId, [ended(1, 'other')]);
    expect(await stored(messageId)).toEqual([ended(1, 'first'), ended(2, 'second'), step(3)]);
    await record(
      messageId,
      Array.from({ length: 200 }, (_, index) => step(index + 2)),
    );
    expect((await stored(messageId)).map(({ startedAt }) => Date.parse(startedAt))).toEqual(
      Array.from({ length: 200 }, (_, index) => index + 1),
    );
  });

  test('is nothing while the account stores all that it may, and counts in what it stores', async () => {
    const { messageId } = await send('[[SAY Nothing]]');
    await record(messageId, [step(1)], 1);
    expect(await stored(messageId)).toEqual([]);
    const before = (await of.account.ok('GET', '/auth/me')).storedBytes as number;
    await record(messageId, [step(1)]);
    expect((await of.account.ok('GET', '/auth/me')).storedBytes).toBeGreaterThan(before + 256);
  });
});
