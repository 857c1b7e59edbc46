import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { abortTurn, sendTurn } from '../../../../runtime/openclaw/conversation/agent-turn.ts';
import type { TurnRequest } from '../../../../runtime/openclaw/conversation/agent-turn.ts';
import type { GatewayClient } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import { readHistory } from '../../../../runtime/openclaw/conversation/gateway-history.ts';
import { decideRecovery, rerunsOf, willRerun } from '../../../../runtime/openclaw/conversation/recovery.ts';
import { killPid } from '../../../../runtime/host/process-identity.ts';
import { eventually, TEST_LIMIT_MS } from '../../../support/eventually.ts';
import { startGateway } from '../../../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../../../support/gateway-under-test.ts';
import { send, takeUp, turnOf } from '../turns-under-test.ts';
import type { TakenUp } from '../turns-under-test.ts';

// The tests share one gateway that dies four times, each time with turns at different points. What a turn costs in
// model calls is counted at the end, so that a late repetition by the gateway would be seen.

let gateway: GatewayUnderTest;
let client: GatewayClient;

beforeAll(async () => {
  gateway = await startGateway(['alpha']);
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
const finishing = turnOf('conv_finishing', 'msg_finishing', '[[SAY finishing answer]] #finishing');
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
  await eventually(() => expect(callsOf(turn)).toHaveLength(before + 1));
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

/** Kills the gateway in the instant in which the run says this. */
async function killAt(turn: TurnRequest, is: (event: { kind: string; phase?: string | null }) => boolean): Promise<void> {
  const pid = await gateway.pid();
  client.onEvent((event) => {
    if ('runId' in event && event.runId === turn.key && is(event)) killPid(pid, 'SIGKILL');
  });
  await send(client, turn);
  await client.closed;
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

test(
  'killed right after a turn was sent: every turn ends with its answer, wherever it was',
  async () => {
    await (
      await send(client, done)
    ).result;
    await sendUntilModelCall(open);
    expect((await send(client, queued)).first).toEqual({ kind: 'accepted' });
    await sendUntilModelCall(tool);
    const toolRuns = async () =>
      expect(await readFile(join(gateway.driver.paths(gateway.runtimeId).workspaceOf('alpha'), 'tool.log'), 'utf8')).toBe(
        'ran\n',
      );
    await eventually(toolRuns);
    const pid = await gateway.pid();
    const lost = sendTurn(client, sent);
    killPid(pid, 'SIGKILL');
    expect(await lost).toEqual({ kind: 'lost' });
    await restart();

    // All at once, before the gateway repeats them by itself.
    const taking = Promise.all([takeUp(client, done), takeUp(client, tool), takeUp(client, sent), sendUntilModelCall(open)]);
    const [ofDone, ofTool, ofSent] = await taking;
    expect(ofDone).toEqual({ end: { kind: 'finished', text: 'the first answer', finishReason: 'stop' }, steps: ['finished'] });
    await expectAnswer(tool, ofTool, expect.stringContaining('The tool said'));
    expect(ofSent).toEqual({ end: { kind: 'finished', text: 'sent answer', finishReason: 'stop' }, steps: ['resend-same'] });
    await toolRuns();
  },
  TEST_LIMIT_MS,
);

test(
  'killed right after a turn was accepted: it runs under a new key, and one that dies twice under its own',
  async () => {
    await sendUntilModelCall(ended);
    expect((await send(client, accepted)).first).toEqual({ kind: 'accepted' });
    killPid(await gateway.pid(), 'SIGKILL');
    await restart();

    const taking = Promise.all([takeUp(client, open), takeUp(client, accepted)]);
    // A turn that ended in the database while its run could not be aborted: its own key, and an abort at once.
    const again = await send(client, ended);
    expect(again.first).toEqual({ kind: 'accepted' });
    expect(await abortTurn(client, ended)).toBe(true);
    expect(await again.result).toEqual({ kind: 'done', outcome: { kind: 'cancelled', text: '' } });

    gateway.model.release('open');
    const [ofOpen, ofAccepted] = await taking;
    await expectAnswer(open, ofOpen, 'w1 w2 w3 w4');
    expect(ofAccepted).toEqual({
      end: { kind: 'finished', text: 'accepted answer', finishReason: 'stop' },
      steps: ['resend-new'],
    });
    await eventually(async () => expect(willRerun(await historyOf(ended), ended.key)).toBe(false));
    expect(await decisionOn(ended)).toEqual({ kind: 'cancelled', text: '' });
    expect(await takeUp(client, queued)).toEqual({
      end: { kind: 'finished', text: 'queued answer', finishReason: 'stop' },
      steps: ['resend-new'],
    });
    expect(await sendTurn(client, accepted)).toMatchObject({ kind: 'refused', why: 'input-ended' });
  },
  TEST_LIMIT_MS,
);

test(
  'killed before the end was noted: the answer counts, and the gateway is kept from repeating the turn',
  async () => {
    await sendUntilModelCall(repeated);
    await killAt(finishing, ({ phase }) => phase === 'finishing');
    await restart();

    expect(await decisionOn(finishing)).toEqual({ kind: 'finished', text: 'finishing answer', finishReason: 'stop' });
    if (willRerun(await historyOf(finishing), finishing.key)) {
      const { first, result } = await send(client, finishing);
      if (first.kind === 'accepted') await result;
    }
    await eventually(async () => expect(willRerun(await historyOf(finishing), finishing.key)).toBe(false));
    expect(await decisionOn(finishing)).toEqual({ kind: 'finished', text: 'finishing answer', finishReason: 'stop' });

    // Nobody sends this one, so the gateway repeats it under an id of its own.
    const [runKey] = await eventually(async () => {
      const reruns = rerunsOf(await historyOf(repeated), repeated.key);
      expect(reruns).toHaveLength(1);
      return reruns;
    });
    const taking = takeUp(client, repeated);
    gateway.model.release('repeated');
    expect(runKey).not.toBe(repeated.key);
    expect((await taking).end).toEqual({ kind: 'finished', text: expect.stringMatching(/./), finishReason: 'stop' });
  },
  TEST_LIMIT_MS,
);

test(
  'killed at the final event: the answer is there; a repetition of another turn is aborted while it runs',
  async () => {
    await sendUntilModelCall(unwanted);
    await killAt(final, ({ kind }) => kind === 'final');
    await restart();

    expect(await takeUp(client, final)).toEqual({
      end: { kind: 'finished', text: 'final answer', finishReason: 'stop' },
      steps: ['finished'],
    });
    const decision = await eventually(async () => {
      const seen = await decisionOn(unwanted);
      expect(seen).toMatchObject({ kind: 'running' });
      return seen;
    });
    const key = decision.kind === 'running' ? decision.runKey : '';
    expect(rerunsOf(await historyOf(unwanted), unwanted.key)).toEqual([key]);
    expect(await abortTurn(client, { ...unwanted, key })).toBe(true);
    await eventually(async () => expect(await decisionOn(unwanted)).toMatchObject({ kind: 'cancelled' }));
  },
  TEST_LIMIT_MS,
);

test('no turn took more model calls than its gateway died in, and one', async () => {
  // On a slow machine the gateway may have begun to repeat it before it was kept from it.
  const repetitions = rerunsOf(await historyOf(finishing), finishing.key).length;
  const turns = { done, open, queued, tool, sent, accepted, ended, finishing, repeated, unwanted, final };
  const calls = Object.fromEntries(Object.entries(turns).map(([name, turn]) => [name, callsOf(turn).length]));
  expect(calls).toEqual({
    done: 1,
    open: 3, // died twice in the middle of it
    queued: 1,
    tool: 2, // before and after the tool, which ran once
    sent: 1,
    accepted: 1,
    ended: 1,
    finishing: 1 + repetitions,
    repeated: 2,
    unwanted: 2,
    final: 1,
  });
});
