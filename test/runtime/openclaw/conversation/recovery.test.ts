import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { abortTurn, sendTurn } from '../../../../runtime/openclaw/conversation/agent-turn.ts';
import type { TurnRequest } from '../../../../runtime/openclaw/conversation/agent-turn.ts';
import type { GatewayClient } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import { readHistory } from '../../../../runtime/openclaw/conversation/gateway-history.ts';
import { decideRecovery, rerunAtWork, rerunsOf, willRerun } from '../../../../runtime/openclaw/conversation/recovery.ts';
import { killPid } from '../../../../runtime/host/process-identity.ts';
import { eventually } from '../../../support/eventually.ts';
import { AGENT, borrowGateway } from '../../../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../../../support/gateway-under-test.ts';
import { send, takeUp, turnOf } from '../turns-under-test.ts';
import type { TakenUp } from '../turns-under-test.ts';

// The tests share one gateway that dies twice, with turns at different points. How often the model answers a turn is counted
// at the end, so that a late repetition by the gateway would be seen.
let gateway: GatewayUnderTest;
let client: GatewayClient;

beforeAll(async () => {
  gateway = await borrowGateway();
  client = await gateway.connect();
  await (
    await send(client, turnOf('conv_warm', 'msg_warm', '[[SAY warm]]'))
  ).result;
});
afterAll(() => gateway.close());

const done = turnOf('conv_done', 'msg_done', '[[SAY the first answer]] #done');
const open = turnOf('conv_open', 'msg_open', '[[WORDS 4]] [[HOLD open 2]] #open');
const queued = turnOf('conv_open', 'msg_queued', '[[SAY queued answer]] #queued');
const tool = turnOf('conv_tool', 'msg_tool', '[[TOOL exec {"command":"echo ran >> tool.log; sleep 20"}]] #tool');
const sent = turnOf('conv_sent', 'msg_sent', '[[SAY sent answer]] #sent');
const accepted = turnOf('conv_accepted', 'msg_accepted', '[[SAY accepted answer]] #accepted');
const ended = turnOf('conv_ended', 'msg_ended', '[[WORDS 4]] [[HOLD ended 2]] #ended');
const repeated = turnOf('conv_repeated', 'msg_repeated', '[[WORDS 4]] [[HOLD repeated 2]] #repeated');
const unwanted = turnOf('conv_unwanted', 'msg_unwanted', '[[WORDS 4]] [[HOLD unwanted 2]] #unwanted');
const final = turnOf('conv_final', 'msg_final', '[[SAY final answer]] #final');

function callsOf({ message }: TurnRequest) {
  const mark = /#\w+/.exec(message)?.[0] ?? message;
  return gateway.model.calls.filter(({ lastUserText }) => lastUserText.includes(mark));
}

async function sendUntilModelCall(turn: TurnRequest): Promise<void> {
  const before = callsOf(turn).length;
  expect((await send(client, turn)).first).toEqual({ kind: 'accepted' });
  await eventually(() => expect(callsOf(turn).length).toBeGreaterThan(before));
}

/** The gateway is dead or dies now; another process takes its place. */
async function restart(): Promise<void> {
  const { bootId } = client;
  await gateway.kill();
  await client.closed;
  await gateway.start();
  client = await gateway.connect();
  expect(client.bootId).not.toBe(bootId);
}

/** On a slow machine the gateway may have begun to repeat a turn before it was taken up. Then that is its answer. */
async function expectAnswer(turn: TurnRequest, { end, steps }: TakenUp, answer: unknown): Promise<void> {
  const anyAnswer: unknown = expect.stringMatching(/./);
  const wasRepeated = rerunsOf(await historyOf(turn), turn.key).length > 0;
  expect(end).toEqual({ kind: 'finished', text: wasRepeated ? anyAnswer : answer, finishReason: 'stop' });
  expect(steps).not.toContain('resend-new');
}

const decisionOn = async (turn: TurnRequest) => decideRecovery(await historyOf(turn), turn.key);
const historyOf = ({ sessionKey, key }: TurnRequest) => readHistory(client, { sessionKey, keys: [key] });

test('killed right after a turn was sent: every turn ends with its answer, wherever it was', async () => {
  await (
    await send(client, done)
  ).result;
  for (const turn of [open, ended]) await sendUntilModelCall(turn);
  expect((await send(client, queued)).first).toEqual({ kind: 'accepted' });
  await sendUntilModelCall(tool);
  const toolRuns = async () =>
    expect(await readFile(join(gateway.driver.paths(gateway.runtimeId).workspaceOf(AGENT), 'tool.log'), 'utf8')).toBe('ran\n');
  await eventually(toolRuns);
  const pid = await gateway.pid();
  expect((await send(client, accepted)).first).toEqual({ kind: 'accepted' });
  const lost = sendTurn(client, sent);
  killPid(pid, 'SIGKILL');
  await lost;
  await restart();

  // All at once, before the gateway repeats them by itself.
  const taking = Promise.all([takeUp(client, done), takeUp(client, tool), takeUp(client, sent), takeUp(client, accepted)]);
  const dyingAgain = sendUntilModelCall(open);
  // A turn that ended in the database while its run could not be aborted: its own key, and an abort at once.
  const again = await send(client, ended);
  expect(again.first).toEqual({ kind: 'accepted' });
  expect(await abortTurn(client, ended)).toBe(true);
  expect(await again.result).toEqual({ kind: 'done', outcome: { kind: 'cancelled', text: '' } });
  await dyingAgain;

  const [ofDone, ofTool, ofSent, ofAccepted] = await taking;
  expect(ofDone).toEqual({ end: { kind: 'finished', text: 'the first answer', finishReason: 'stop' }, steps: ['finished'] });
  await expectAnswer(tool, ofTool, expect.stringContaining('The tool said'));
  await toolRuns();
  // How far these two had come before the gateway was gone depends on the machine.
  expect(ofSent.end).toEqual({ kind: 'finished', text: 'sent answer', finishReason: 'stop' });
  expect(ofAccepted.end).toEqual({ kind: 'finished', text: 'accepted answer', finishReason: 'stop' });
  await eventually(async () => expect(willRerun(await historyOf(ended), ended.key)).toBe(false));
  expect(await decisionOn(ended)).toEqual({ kind: 'cancelled', text: '' });
});

test('killed at the final event: the answer is there; turns that nobody takes up are repeated by the gateway, unless aborted', async () => {
  for (const turn of [repeated, unwanted]) await sendUntilModelCall(turn);
  const pid = await gateway.pid();
  client.onEvent((event) => {
    if (event.kind === 'final' && event.runId === final.key) killPid(pid, 'SIGKILL');
  });
  await send(client, final);
  await client.closed;
  await restart();

  const taking = takeUp(client, open);
  expect(await takeUp(client, final)).toEqual({
    end: { kind: 'finished', text: 'final answer', finishReason: 'stop' },
    steps: ['finished'],
  });
  gateway.model.release('open');
  await expectAnswer(open, await taking, 'w1 w2 w3 w4');
  expect(await takeUp(client, queued)).toEqual({
    end: { kind: 'finished', text: 'queued answer', finishReason: 'stop' },
    steps: ['resend-new'],
  });
  expect(await sendTurn(client, queued)).toMatchObject({ kind: 'refused', why: 'input-ended' });

  // It repeats one at a time, each under an id of its own.
  const left = new Map([
    [
      repeated,
      async () => {
        const run = takeUp(client, repeated);
        gateway.model.release('repeated');
        expect((await run).end).toEqual({ kind: 'finished', text: expect.stringMatching(/./), finishReason: 'stop' });
      },
    ],
    [
      unwanted,
      async (key: string) => {
        expect(await decisionOn(unwanted)).toMatchObject({ kind: 'running', runKey: key });
        expect(await abortTurn(client, { ...unwanted, key })).toBe(true);
        await eventually(async () => expect(await decisionOn(unwanted)).toMatchObject({ kind: 'cancelled' }));
      },
    ],
  ]);
  while (left.size > 0) {
    const { turn, key } = await eventually(() => atWork([...left.keys()]));
    expect(key).not.toBe(turn.key);
    await left.get(turn)?.(key);
    left.delete(turn);
  }
});

/** The turn among these that the gateway repeats now, and under which id. */
async function atWork(turns: readonly TurnRequest[]): Promise<{ turn: TurnRequest; key: string }> {
  for (const turn of turns) {
    const key = rerunAtWork(await historyOf(turn), turn.key);
    if (key !== null) return { turn, key };
  }
  throw new Error('The gateway repeats none of them yet');
}

test('the model answered no turn again whose answer was not lost with the gateway', async () => {
  // How many of its answers may have been lost.
  const answers = new Map([
    // The model was held in these whenever the gateway died.
    ...[open, ended, repeated, unwanted].map((turn) => [turn, 0] as const),
    ...[done, queued, final].map((turn) => [turn, 0] as const),
    ...[sent, accepted].map((turn) => [turn, 1] as const),
    // Its model answers before and after the tool, which ran once.
    [tool, 1],
  ]);
  for (const [turn, lost] of answers) {
    // On a slow machine the gateway may have begun to repeat it before it was kept from it.
    const repetitions = turn === repeated || turn === unwanted ? 0 : rerunsOf(await historyOf(turn), turn.key).length;
    const calls = callsOf(turn);
    expect([turn.message, calls.length >= 1]).toEqual([turn.message, true]);
    const answered = calls.filter(({ finished }) => finished).length;
    expect([turn.message, answered <= 1 + lost + repetitions]).toEqual([turn.message, true]);
  }
});
