import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { findSteps } from '../../database/messages/steps.ts';
import type { Step } from '../../domain/steps.ts';
import type { FollowedTurn } from '../../turns/turn-sender.ts';
import type { NewAgent } from '../factories.ts';
import { eventually } from '../support/eventually.ts';
import { AGENT } from '../support/gateway-program.ts';
import type { GatewayUnderTest } from '../support/gateway-program.ts';
import type { ScriptedControl } from '../support/scripted-gateway/scripted-control.ts';
import { startScripted } from '../support/scripted-gateway/start-scripted.ts';
import { heard, startApi, startWatch } from './processes-under-test.ts';
import type { ApiUnderTest } from './processes-under-test.ts';
import { instanceToRecover } from './recovery-under-test.ts';
import { openTurns } from './turns-under-test.ts';
import type { TurnsUnderTest } from './turns-under-test.ts';

let turns: TurnsUnderTest;
let gateway: GatewayUnderTest;
let control: ScriptedControl;
let instance: NewAgent;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  [turns, { gateway, control }] = await Promise.all([openTurns(), startScripted()]);
});
afterAll(async () => {
  await gateway.close();
  await turns.close();
});
beforeEach(async () => {
  const { bootId } = await gateway.connect();
  instance = await turns.newInstance({ runtimeId: gateway.runtimeId, bootId, gatewayAgentId: AGENT });
});
afterEach(async () => {
  control.behave();
  await Promise.all(open.splice(0).map((one) => one.close()));
});

async function closedLater<T extends { close(): Promise<void> }>(starting: Promise<T>): Promise<T> {
  const started = await starting;
  open.push(started);
  return started;
}
const newApi = (): Promise<ApiUnderTest> => closedLater(startApi(turns, gateway));

/** Calls two tools; between them it waits for this name. */
const twoTools = (name: string) =>
  `[[TOOL exec {"command":"echo one","wait":"${name}"}]] [[TOOL exec {"command":"echo two"}]] [[SAY Done]]`;
const stored = (messageId: string) => findSteps(turns.orm.em.fork(), messageId);
const outputsOf = (steps: readonly Step[]) => steps.map(({ status, output }) => [status, output]);
const BOTH = [
  ['ended', 'one'],
  ['ended', 'two'],
];

/** The first step that is heard, begun or ended. */
async function firstStep(followed: FollowedTurn): Promise<Step | null> {
  for await (const piece of followed.activity) if ('step' in piece) return piece.step;
  return null;
}

test('a process that does not send the turn hears its steps as they happen', async () => {
  const [owner, other] = [await newApi(), await newApi()];
  const text = `[[FIRST Let me look.]] [[HOLD heard]] ${twoTools('then')}`;
  const { messageId } = await owner.say(instance, { text, sessionId: 'heard' });
  const followed = other.sender.follow(messageId);
  await heard(followed, 'Let me look.');
  const hearing = firstStep(followed);
  control.release('then');
  expect(await hearing).toMatchObject({ kind: 'tool', name: 'exec' });
  control.release('heard');
  followed.close();
  await turns.end(messageId);
  expect(outputsOf(await stored(messageId))).toEqual(BOTH);
});

test('the process that sends the turn is killed: its steps are those of before and after', async () => {
  const owner = await newApi();
  const { messageId } = await owner.say(instance, { text: twoTools('killed'), sessionId: 'killed' });
  await eventually(async () => expect(await stored(messageId)).toHaveLength(1));
  await owner.die();
  await closedLater(startWatch(turns, gateway, instance));
  control.release('killed');
  expect(await turns.end(messageId)).toMatchObject({ status: 'completed', content: 'Done' });
  expect(outputsOf(await stored(messageId))).toEqual(BOTH);
});

test('a turn that ends while nobody listens has its steps from the history', async () => {
  const owner = await newApi();
  const { messageId } = await owner.say(instance, { text: twoTools('unheard'), sessionId: 'unheard' });
  await eventually(async () => expect(await stored(messageId)).toHaveLength(1));
  await owner.die();
  await turns.rows('delete from message_steps returning message_id');
  control.release('unheard');
  await eventually(() =>
    expect(control.journal().some(({ what, runId }) => what === 'answered' && runId === messageId)).toBe(true),
  );
  await closedLater(startWatch(turns, gateway, instance));
  await turns.end(messageId);
  expect(outputsOf(await stored(messageId))).toEqual(BOTH);
});

test('the gateway is killed during the turn: the steps of both tries are there', async () => {
  const { say, recover } = await closedLater(instanceToRecover(turns, gateway));
  const { messageId } = await say(twoTools('died'), 'died');
  await eventually(async () => expect(await stored(messageId)).toHaveLength(1));
  await gateway.kill();
  await recover();
  control.release('died');
  await turns.end(messageId);
  expect(outputsOf(await stored(messageId))).toEqual([['ended', 'one'], ...BOTH]);
});
