import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { abortTurn, sendTurn } from '../../../../runtime/openclaw/conversation/agent-turn.ts';
import { PERSONA_FILES, getAgentFiles, setAgentFile } from '../../../../runtime/openclaw/content/agent-files.ts';
import { waitForAgents } from '../../../../runtime/openclaw/content/agent-liveness.ts';
import { GatewayConnectError } from '../../../../runtime/gateway/gateway-errors.ts';
import { connectGateway } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import { readHistory } from '../../../../runtime/openclaw/conversation/gateway-history.ts';
import { decideRecovery } from '../../../../runtime/openclaw/conversation/recovery.ts';
import { eventually, PATIENCE_MS } from '../../../support/eventually.ts';
import { AGENT, borrowGateway } from '../../../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../../../support/gateway-under-test.ts';
import { startScripted } from '../../../support/scripted-gateway/start-scripted.ts';
import { listen, send, turnOf } from '../turns-under-test.ts';

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

const callsOf = (mark: string) => gateway.model.calls.filter(({ lastUserText }) => lastUserText.includes(mark));
const callOf = (mark: string) => gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes(mark));
const completed = (text: string) => ({ kind: 'done', outcome: { kind: 'completed', text, finishReason: 'stop' } });

test('a turn is accepted, streams, ends, and its model call carries its trace id', async () => {
  const heard = listen(client);
  const turn = turnOf('conv_one', 'msg_one', '[[WORDS 3]] [[HOLD words 1]] one');
  const { first, result } = await send(client, turn);
  expect(first).toEqual({ kind: 'accepted' });
  await heard.seen(turn.key, (event) => event.kind === 'delta');
  gateway.model.release('words');
  expect(await heard.endOf(turn.key)).toEqual(completed('w1 w2 w3'));
  expect(await result).toEqual(completed('w1 w2 w3'));

  const texts = heard.of(turn.key).flatMap((event) => (event.kind === 'delta' ? [event.text] : []));
  expect(texts.length).toBeGreaterThan(1);
  expect(texts.at(-1)).toBe('w1 w2 w3');
  for (const text of texts) expect('w1 w2 w3'.startsWith(text)).toBe(true);
  expect(heard.of(turn.key)[0]).toMatchObject({ kind: 'run-started', sessionKey: turn.sessionKey });
  expect((await callOf('one')).traceparent).toContain(turn.traceId);
  expect((await callOf('one')).authorization).toBe(`Bearer relay-token-of-${AGENT}`);
});

test('what the agent says before and after a tool is one text, live, at the end, and in history', async () => {
  const heard = listen(client);
  const turn = turnOf(
    'conv_tool',
    'msg_tool',
    '[[FIRST Let me look.]] [[TOOL exec {"command":"echo found","yieldMs":120000}]] look',
  );
  const { result } = await send(client, turn);
  const text = 'Let me look.\n\nThe tool said: found';
  expect(await heard.endOf(turn.key)).toEqual(completed(text));
  expect(await result).toEqual(completed(text));
  const history = await readHistory(client, { sessionKey: turn.sessionKey, keys: [turn.key] });
  expect(decideRecovery(history, turn.key)).toEqual({ kind: 'finished', text, finishReason: 'stop' });
  expect(await sendTurn(client, turn)).toEqual(completed(text));
  expect(gateway.model.answered('look')).toBe(2);
});

test('a turn outlives the connection that sent it, and another connection sees all of the rest', async () => {
  const own = await gateway.connect();
  const other = listen(await gateway.connect());
  const turn = turnOf('conv_drop', 'msg_drop', '[[WORDS 4]] [[HOLD drop 2]] drop');
  const { first } = await send(own, turn);
  expect(first).toEqual({ kind: 'accepted' });
  await other.seen(turn.key, (event) => event.kind === 'delta');
  own.close();
  await own.closed;
  expect(await sendTurn(client, turn)).toEqual({ kind: 'in-flight' });
  gateway.model.release('drop');
  expect(await other.endOf(turn.key)).toEqual(completed('w1 w2 w3 w4'));
  await eventually(async () => expect(await sendTurn(client, turn)).toEqual(completed('w1 w2 w3 w4')));
  expect(gateway.model.answered('drop')).toBe(1);
});

test('turns of one conversation run one after the other, in the order in which they were accepted', async () => {
  const heard = listen(client);
  const turns = ['a', 'b', 'c'].map((name) => turnOf('conv_fifo', `msg_fifo_${name}`, `[[SAY ${name}]] [[HOLD fifo]] fifo`));
  for (const turn of turns) expect((await send(client, turn)).first).toEqual({ kind: 'accepted' });
  await callOf('fifo');
  for (const { lastUserText } of callsOf('fifo')) expect(lastUserText).toContain('[[SAY a]]');
  gateway.model.release('fifo');
  for (const turn of turns) await heard.endOf(turn.key);
  const keys = new Set(turns.map(({ key }) => key));
  const finals = heard.events.flatMap((event) => (event.kind === 'final' && keys.has(event.runId) ? [event.text] : []));
  expect(finals).toEqual(['a', 'b', 'c']);
});

test('thirty-three turns at once in one conversation are all answered, each by the model once', async () => {
  const numbers = Array.from({ length: 33 }, (_, index) => index);
  const sent = await Promise.all(
    numbers.map((number) => send(client, turnOf('conv_many', `msg_many_${number}`, `[[SAY answer ${number}]] many`))),
  );
  expect(new Set(sent.map(({ first }) => first.kind))).toEqual(new Set(['accepted']));
  const results = await Promise.all(sent.map(({ result }) => result));
  expect(results).toEqual(numbers.map((number) => completed(`answer ${number}`)));
  expect(gateway.model.answered('many')).toBe(33);
});

test('a running turn is aborted with what it had said, a waiting one without a trace, and the next one runs', async () => {
  const heard = listen(client);
  const running = turnOf('conv_abort', 'msg_running', '[[WORDS 4]] [[HOLD abort 2]] abort');
  const waiting = turnOf('conv_abort', 'msg_waiting', '[[SAY never]] waiting');
  const first = await send(client, running);
  await heard.seen(running.key, (event) => event.kind === 'delta' && event.text === 'w1 w2');
  const second = await send(client, waiting);
  expect(await abortTurn(client, waiting)).toBe(true);
  expect(await second.result).toEqual({ kind: 'done', outcome: { kind: 'cancelled', text: '' } });
  expect(await abortTurn(client, running)).toBe(true);
  expect(await heard.endOf(running.key)).toEqual({ kind: 'done', outcome: { kind: 'cancelled', text: 'w1 w2' } });
  expect(await first.result).toMatchObject({ outcome: { kind: 'cancelled' } });
  expect(await abortTurn(client, { ...running, key: 'msg_unknown' })).toBe(false);
  await gateway.model.waitForCall(({ lastUserText, aborted }) => lastUserText.includes('abort') && aborted);

  const keys = [running.key, waiting.key];
  const history = await readHistory(client, { sessionKey: running.sessionKey, keys });
  expect(keys.map((key) => decideRecovery(history, key))).toEqual([
    { kind: 'cancelled', text: 'w1 w2' },
    { kind: 'cancelled', text: '' },
  ]);
  expect(await (await send(client, turnOf('conv_abort', 'msg_next', '[[SAY next]]'))).result).toEqual(completed('next'));
  expect(callsOf('waiting')).toHaveLength(0);
});

test('a turn that takes longer than it may fails as that, live and in history', async () => {
  const heard = listen(client);
  const turn = { ...turnOf('conv_slow', 'msg_slow', '[[WORDS 2]] [[HOLD never 1]]'), timeoutSeconds: 1 };
  const { result } = await send(client, turn);
  const failure = { kind: 'failed', reason: 'turn_timeout' };
  expect(await heard.endOf(turn.key)).toMatchObject({ outcome: failure });
  expect(await result).toMatchObject({ outcome: failure });
  await eventually(async () => {
    const history = await readHistory(client, { sessionKey: turn.sessionKey, keys: [turn.key] });
    expect(decideRecovery(history, turn.key)).toMatchObject(failure);
  });
});

test('a refused model call fails the turn as a model error, the same however often one asks, and the next turn runs', async () => {
  const heard = listen(client);
  const turn = turnOf('conv_fail', 'msg_fail', '[[FAIL 400]] refused');
  const { result } = await send(client, turn);
  const failure = { kind: 'failed', reason: 'model_error', message: expect.stringContaining('LLM request failed') };
  expect(await heard.endOf(turn.key)).toEqual({ kind: 'done', outcome: failure });
  expect(await result).toEqual({ kind: 'done', outcome: failure });
  expect(await sendTurn(client, turn)).toEqual({ kind: 'done', outcome: failure });
  const history = await readHistory(client, { sessionKey: turn.sessionKey, keys: [turn.key] });
  expect(decideRecovery(history, turn.key)).toEqual(failure);
  expect(gateway.model.answered('refused')).toBe(1);
  expect(await (await send(client, turnOf('conv_fail', 'msg_fine', '[[SAY fine]]'))).result).toEqual(completed('fine'));
});

test('an answer that is too large for a page of history is found there whole', async () => {
  const text = 'x'.repeat(140_000);
  const turn = turnOf('conv_large', 'msg_large', `[[SAY ${text}]]`);
  expect(await (await send(client, turn)).result).toEqual(completed(text));
  const history = await readHistory(client, { sessionKey: turn.sessionKey, keys: [turn.key] });
  expect(decideRecovery(history, turn.key)).toEqual({ kind: 'finished', text, finishReason: 'stop' });
});

test('an archived conversation is restored by the next turn', async () => {
  const before = turnOf('conv_archived', 'msg_before', '[[SAY before]]');
  await (
    await send(client, before)
  ).result;
  const { sessionId } = await readHistory(client, { sessionKey: before.sessionKey, keys: [] });
  await eventually(() =>
    client.request('sessions.patch', { key: before.sessionKey, archived: true, expectedSessionId: sessionId }),
  );
  expect(await (await send(client, turnOf('conv_archived', 'msg_after', '[[HISTORY]]'))).result).toEqual(completed('5'));
});

test('an agent that does not exist is a refusal', async () => {
  const turn = { ...turnOf('conv_one', 'msg_nobody', 'x'), agentId: 'nobody', sessionKey: 'agent:nobody:conv:conv_one' };
  expect(await sendTurn(client, turn)).toMatchObject({ kind: 'refused', why: 'invalid' });
});

test('agents come and go with the configuration, and their files are read and written', async () => {
  const options = { signal: AbortSignal.timeout(PATIENCE_MS), deadlineMs: PATIENCE_MS };
  const other = `other-${AGENT}`;
  await gateway.setAgents([AGENT, other]);
  await waitForAgents(await gateway.endpoint(), gateway.token, { present: [AGENT, other], absent: [] }, options);
  await setAgentFile(client, { agentId: other, name: 'SOUL.md', content: 'calm' });
  expect(await getAgentFiles(client, other)).toEqual(new Map([['SOUL.md', 'calm']]));
  await setAgentFile(client, { agentId: other, name: 'SOUL.md', content: 'no\0text' });
  expect(await getAgentFiles(client, other)).toEqual(new Map([['SOUL.md', null]]));
  await setAgentFile(client, { agentId: other, name: 'SOUL.md', content: 'a text with \ufffd' });
  expect(await getAgentFiles(client, other)).toEqual(new Map([['SOUL.md', 'a text with \ufffd']]));
  for (const name of PERSONA_FILES) await setAgentFile(client, { agentId: other, name, content: name });
  expect([...(await getAgentFiles(client, other)).keys()]).toEqual([...PERSONA_FILES]);

  await gateway.setAgents([AGENT]);
  await waitForAgents(await gateway.endpoint(), gateway.token, { present: [AGENT], absent: [other] }, options);
});

test('agents that never come are named when the time is over', async () => {
  const waiting = waitForAgents(
    await gateway.endpoint(),
    gateway.token,
    { present: ['gamma'], absent: [] },
    {
      signal: AbortSignal.timeout(PATIENCE_MS),
      deadlineMs: 300,
    },
  );
  await expect(waiting).rejects.toThrow('did not take up its agents within 300 ms: gamma');
});

test('a wrong token is refused for good, a port where nobody listens for now', async () => {
  const { wsUrl } = await gateway.endpoint();
  const { signal } = new AbortController();
  const connects = [
    connectGateway({ wsUrl, token: 'wrong', signal, timeoutMs: PATIENCE_MS }),
    connectGateway({ wsUrl: 'ws://127.0.0.1:1', token: gateway.token, signal, timeoutMs: PATIENCE_MS }),
  ];
  const [refused, absent] = await Promise.all(connects.map((connect) => connect.catch((error: unknown) => error)));
  for (const error of [refused, absent]) expect(error).toBeInstanceOf(GatewayConnectError);
  expect([refused, absent]).toMatchObject([{ retryable: false }, { retryable: true }]);
});

// The scripted gateway drains as the real one does: gateway-conformance.test.ts.
test('a stopped gateway says so, refuses new turns while it drains, and its connections end', async () => {
  const { gateway: stopping, control } = await startScripted();
  const ofIt = await stopping.connect();
  const heard = listen(ofIt);
  const turn = turnOf('conv_drain', 'msg_drain', '[[WORDS 2]] [[HOLD drain 1]] drain');
  await send(ofIt, turn);
  await heard.seen(turn.key, ({ kind }) => kind === 'delta');
  const stopped = stopping.stop(PATIENCE_MS);
  // Each attempt is a turn of its own: one that came before the signal is done, and would be done for ever.
  let late = 0;
  await eventually(async () => {
    late += 1;
    const sent = await sendTurn(ofIt, turnOf('conv_late', `msg_late_${late}`, 'x'));
    expect(sent).toMatchObject({ kind: 'refused', why: 'draining' });
  });
  const busy = await stopping.connect().catch((error: unknown) => error);
  expect(busy).toMatchObject({ retryable: true });
  control.release('drain');
  expect(await heard.endOf(turn.key)).toEqual(completed('w1 w2'));
  await ofIt.closed;
  await stopped;
  expect(heard.events.at(-1)).toMatchObject({ kind: 'shutdown' });
  expect(await sendTurn(ofIt, turn)).toEqual({ kind: 'lost' });
  await stopping.close();
});
