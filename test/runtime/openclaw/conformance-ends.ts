import { abortTurn, sendTurn } from '../../../runtime/openclaw/conversation/agent-turn.ts';
import type { TurnRequest } from '../../../runtime/openclaw/conversation/agent-turn.ts';
import { killPid } from '../../../runtime/host/process-identity.ts';
import type { GatewayClient } from '../../../runtime/openclaw/wire/gateway-client.ts';
import { GatewayConnectError } from '../../../runtime/gateway/gateway-errors.ts';
import { readHistory } from '../../../runtime/openclaw/conversation/gateway-history.ts';
import { probeReadiness } from '../../../runtime/openclaw/wire/readiness.ts';
import { decideRecovery, isHeldOpen, rerunAtWork, rerunsOf, willRerun } from '../../../runtime/openclaw/conversation/recovery.ts';
import { eventually, PATIENCE_MS } from '../../support/eventually.ts';
import { decisionOf, refusalOf } from './conformance-cases.ts';
import type { Observe } from './conformance-cases.ts';
import { listen, send, takeUp, turnOf } from './turns-under-test.ts';

const open = turnOf('conv_open', 'msg_open', '[[WORDS 4]] [[HOLD open 2]] open');
const queued = turnOf('conv_open', 'msg_queued', '[[SAY queued answer]]');
const left = turnOf('conv_left', 'msg_left', '[[WORDS 4]] [[HOLD left 2]] left');
const unwanted = turnOf('conv_unwanted', 'msg_unwanted', '[[WORDS 4]] [[HOLD unwanted 2]] unwanted');
const finishing = turnOf('conv_finishing', 'msg_finishing', '[[SAY finishing answer]]');

/** What is there of turns when their gateway was killed and another one has started. */
export const observeKill: Observe = async (subject) => {
  const { gateway } = subject;
  for (const turn of [open, left, unwanted]) {
    const heard = listen(subject.client);
    await send(subject.client, turn);
    await heard.seen(turn.key, (event) => event.kind === 'delta' && event.text === 'w1 w2');
  }
  await send(subject.client, queued);
  const before = subject.client.bootId;
  const pid = await gateway.pid();
  subject.client.onEvent((event) => {
    if (event.kind === 'other' && event.runId === finishing.key && event.phase === 'finishing') killPid(pid, 'SIGKILL');
  });
  await send(subject.client, finishing);
  await subject.client.closed;
  // Its sockets close before it is gone, and a start would take up what still dies.
  await gateway.kill();
  await gateway.start();
  const client = await gateway.connect();
  subject.client = client;
  const historyOf = ({ sessionKey, key }: TurnRequest) => readHistory(client, { sessionKey, keys: [key] });
  const decisionOn = async (turn: TurnRequest) => decisionOf(decideRecovery(await historyOf(turn), turn.key));
  const decisions = [await decisionOn(open), await decisionOn(queued), await decisionOn(finishing)];
  const isToRerun = willRerun(await historyOf(open), open.key);
  const taken = takeUp(client, open);
  await keepFromRepeating(client, finishing);
  subject.release('open');
  const { end } = await taken;
  const repeated = new Map<TurnRequest, unknown>();
  while (repeated.size < 2) {
    const turn = await eventually(async () => {
      for (const one of [left, unwanted])
        if (!repeated.has(one) && rerunAtWork(await historyOf(one), one.key) !== null) return one;
      throw new Error('It repeats neither yet');
    });
    const running = await decisionOn(turn);
    if (turn === left) subject.release('left');
    else await abortTurn(client, { ...turn, key: rerunAtWork(await historyOf(turn), turn.key) ?? '' });
    const ended = await eventually(async () => {
      const decision = decideRecovery(await historyOf(turn), turn.key);
      if (decision.kind === 'running' || decision.kind === 'wait') throw new Error('It has not ended');
      return [decision.kind, rerunsOf(await historyOf(turn), turn.key).length];
    });
    repeated.set(turn, { running: withoutText(running), ended });
  }
  return {
    ...{ isOther: before !== client.bootId, decisions, isToRerun, end },
    ...{ left: repeated.get(left), unwanted: repeated.get(unwanted) },
    queued: await takeUp(client, queued),
    spent: (await sendTurn(client, queued)).kind,
  };
};

const withoutText = (decision: unknown): unknown =>
  JSON.parse(JSON.stringify(decision, (name, value: unknown) => (name === 'textSoFar' ? undefined : value)));

/** As our code does it with a turn whose answer is there, and whose end was not noted. */
async function keepFromRepeating(client: GatewayClient, turn: TurnRequest): Promise<void> {
  const historyOf = () => readHistory(client, { sessionKey: turn.sessionKey, keys: [turn.key] });
  if (willRerun(await historyOf(), turn.key)) await sendTurn(client, turn);
  await eventually(async () => {
    await abortTurn(client, turn);
    const history = await historyOf();
    const rerun = rerunAtWork(history, turn.key);
    if (rerun !== null) await abortTurn(client, { ...turn, key: rerun });
    if (isHeldOpen(await historyOf(), turn.key)) throw new Error('The gateway still holds it for unfinished');
  });
}

/** How a gateway ends that is told to. */
export const observeDrain: Observe = async ({ gateway, client, release }) => {
  const heard = listen(client);
  const running = turnOf('conv_drain', 'msg_drain', '[[WORDS 4]] [[HOLD drain 2]] drain');
  const waiting = turnOf('conv_drain', 'msg_behind', '[[SAY never]]');
  const first = await send(client, running);
  await heard.seen(running.key, (event) => event.kind === 'delta' && event.text === 'w1 w2');
  const second = await send(client, waiting);
  const endpoint = await gateway.endpoint();
  process.kill(await gateway.pid(), 'SIGTERM');
  const ready = await eventually(async () => {
    const seen = await probeReadiness(endpoint, PATIENCE_MS);
    if (seen?.failing === null) throw new Error('It is still ready');
    return seen;
  });
  const late = await sendTurn(client, turnOf('conv_late', 'msg_late', 'Hello'));
  const history = await refusalOf(readHistory(client, { sessionKey: running.sessionKey, keys: [] }));
  const connecting = gateway.connect().catch((error: unknown) => error);
  const connected = await connecting;
  release('drain');
  const ends = [await first.result, await second.result];
  await client.closed;
  await eventually(async () => {
    if ((await gateway.driver.inspect(gateway.runtimeId)).status !== 'exited') throw new Error('It still runs');
  });
  return {
    ...{ ready, history, isRefused: connected instanceof GatewayConnectError && connected.retryable },
    late: late.kind === 'refused' && [late.why, late.retryAfterMs],
    ends: ends.map((end) => (end.kind === 'refused' ? end.why : end)),
    shutdown: heard.events.filter(({ kind }) => kind === 'shutdown').length,
    exit: (await gateway.driver.exitOf(gateway.runtimeId))?.code,
  };
};
