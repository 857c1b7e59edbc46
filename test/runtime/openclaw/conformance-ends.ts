import { sendTurn } from '../../../runtime/openclaw/conversation/agent-turn.ts';
import { GatewayConnectError } from '../../../runtime/openclaw/wire/gateway-errors.ts';
import { readHistory } from '../../../runtime/openclaw/conversation/gateway-history.ts';
import { probeReadiness } from '../../../runtime/openclaw/wire/readiness.ts';
import { decideRecovery, rerunsOf, willRerun } from '../../../runtime/openclaw/conversation/recovery.ts';
import { eventually } from '../../support/eventually.ts';
import { decisionOf, refusalOf } from './conformance-cases.ts';
import type { Observe } from './conformance-cases.ts';
import { listen, send, takeUp, turnOf, WAIT_MS } from './turns-under-test.ts';

const open = turnOf('conv_open', 'msg_open', '[[WORDS 4]] [[HOLD open 2]] open');
const queued = turnOf('conv_open', 'msg_queued', '[[SAY queued answer]]');
const left = turnOf('conv_left', 'msg_left', '[[WORDS 4]] [[HOLD left 2]] left');

/** What is there of turns when their gateway was killed and another one has started. */
export const observeKill: Observe = async (subject) => {
  const { gateway } = subject;
  for (const turn of [open, left]) {
    const heard = listen(subject.client);
    await send(subject.client, turn);
    await heard.seen(turn.key, (event) => event.kind === 'delta' && event.text === 'w1 w2');
  }
  await send(subject.client, queued);
  const before = subject.client.bootId;
  await gateway.kill();
  await subject.client.closed;
  await gateway.start();
  const client = await gateway.connect();
  subject.client = client;
  const decisionOn = async ({ sessionKey, key }: typeof open) =>
    decisionOf(decideRecovery(await readHistory(client, { sessionKey, keys: [key] }), key));
  const decisions = [await decisionOn(open), await decisionOn(queued)];
  const isToRerun = willRerun(await readHistory(client, { sessionKey: open.sessionKey, keys: [open.key] }), open.key);
  const taken = takeUp(client, open);
  subject.release('open');
  const { end } = await taken;
  const rerun = await eventually(async () => {
    const history = await readHistory(client, { sessionKey: left.sessionKey, keys: [left.key] });
    if (rerunsOf(history, left.key).length === 0 || !history.inFlightRun) throw new Error('It is not repeated yet');
    return decisionOf(decideRecovery(history, left.key));
  });
  subject.release('left');
  const repeated = await eventually(async () => {
    const decision = await decisionOn(left);
    if (!JSON.stringify(decision).includes('finished')) throw new Error('It has not ended');
    return rerunsOf(await readHistory(client, { sessionKey: left.sessionKey, keys: [left.key] }), left.key).length;
  });
  return {
    ...{ isOther: before !== client.bootId, decisions, isToRerun, end, repeated },
    rerun: JSON.parse(JSON.stringify(rerun, (name, value: unknown) => (name === 'textSoFar' ? undefined : value))),
    queued: await takeUp(client, queued),
    spent: (await sendTurn(client, queued)).kind,
  };
};

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
    const seen = await probeReadiness(endpoint, WAIT_MS);
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
