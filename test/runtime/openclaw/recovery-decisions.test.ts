import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { parseHistory } from '../../../runtime/openclaw/conversation/gateway-history.ts';
import type { GatewayHistory } from '../../../runtime/openclaw/conversation/gateway-history.ts';
import { decideRecovery, isHeldOpen, rerunAtWork, rerunsOf, willRerun } from '../../../runtime/openclaw/conversation/recovery.ts';

// Rows and answers in the shapes that a gateway was seen to give; K is the turn's key, R a run that repeats it.
const K = 'msg_k';

const user = (key: string, content = 'hello') => ({ role: 'user', content, idempotencyKey: `${key}:user` });
const system = (runId: string) => ({
  ...user(runId, '[System] Your previous turn was interrupted by a gateway restart'),
  provenance: { kind: 'internal_system', sourceTool: 'main_session_restart_recovery' },
});
const said = (runId: string, text: string, stopReason: string | null = 'stop', more: object = {}) => ({
  role: 'assistant',
  content: [{ type: 'text', text }],
  ...(stopReason !== null && { stopReason }),
  ...more,
  __openclaw: { runId },
});
const toolCall = (runId: string) => ({
  role: 'assistant',
  content: [{ type: 'toolCall', id: 'c1', name: 'exec', arguments: {} }],
  stopReason: 'toolUse',
  __openclaw: { runId },
});
const toolResult = (runId: string) => ({ role: 'toolResult', content: [{ type: 'text', text: 'ok' }], __openclaw: { runId } });
const terminalError = (runId: string, text: string) => said(runId, text, 'error', { idempotencyKey: `${runId}:terminal-error` });
const neverBegan = (runId: string, why: string) => ({
  role: 'custom',
  customType: 'run-failed-before-reply',
  content: `This turn ended before a reply: ${why}`,
  __openclaw: { runId },
});
const abortedRow = (runId: string, text: string) =>
  said(runId, text, 'stop', { idempotencyKey: `${runId}:assistant`, openclawAbort: { aborted: true, origin: 'rpc', runId } });
const timedOut = (runId: string) => said(runId, '', 'aborted', { errorMessage: 'request timed out' });

interface Around {
  status?: string;
  lastRunId?: string;
  inFlightRun?: { runId: string; text: string };
  pending?: string;
}

function history(messages: object[], { status, lastRunId, inFlightRun, pending }: Around = {}): GatewayHistory {
  return parseHistory({
    sessionKey: 'agent:alpha:conv:c',
    messages,
    ...(inFlightRun && { inFlightRun }),
    ...(status !== undefined && { sessionInfo: { status, lastRunId } }),
    pendingInputs: { items: pending === undefined ? [] : [{ runId: K, state: pending }], total: 0 },
    inputReceipts: pending === undefined ? [] : [{ runId: K, state: 'pending' }],
  });
}

test.each<[string, GatewayHistory, object]>([
  [
    'its answer is there',
    history([user(K), said(K, 'hi')], { status: 'done' }),
    { kind: 'finished', text: 'hi', finishReason: 'stop' },
  ],
  [
    'what it said before and after a tool belongs together',
    history([user(K), said(K, 'Let me look.', null), toolCall(K), toolResult(K), said(K, 'Done.')], { status: 'done' }),
    { kind: 'finished', text: 'Let me look.\n\nDone.', finishReason: 'stop' },
  ],
  [
    'the gateway died before it noted the end, and repeats the turn',
    history([user(K), said(K, 'hi'), system('r1'), said('r1', 'hi again')], { status: 'done' }),
    { kind: 'finished', text: 'hi', finishReason: 'stop' },
  ],
  [
    'a resend after the end left a failure behind the answer',
    history([user(K), said(K, 'hi'), terminalError(K, 'Agent run failed')], { status: 'failed' }),
    { kind: 'finished', text: 'hi', finishReason: 'stop' },
  ],
  [
    'it reached the token limit',
    history([user(K), said(K, 'a lot', 'length')], { status: 'done' }),
    { kind: 'finished', text: 'a lot', finishReason: 'length' },
  ],
  ['it was aborted', history([user(K), abortedRow(K, 'so f')], { status: 'killed' }), { kind: 'cancelled', text: 'so f' }],
  ['it was aborted before it said anything', history([user(K)], { status: 'killed' }), { kind: 'cancelled', text: '' }],
  ['it was aborted while it waited', history([user('other')], { pending: 'cancelled' }), { kind: 'cancelled', text: '' }],
  [
    'it timed out',
    history([user(K), timedOut(K)], { status: 'timeout' }),
    { kind: 'failed', reason: 'turn_timeout', message: 'request timed out' },
  ],
  [
    'its model call failed',
    history([user(K), terminalError(K, '⚠️ LLM request failed (request format rejected, HTTP 400).')], { status: 'failed' }),
    { kind: 'failed', reason: 'model_error', message: '⚠️ LLM request failed (request format rejected, HTTP 400).' },
  ],
  [
    'the gateway lost it',
    history([user(K)], { status: 'failed' }),
    { kind: 'failed', reason: 'agent_failed', message: 'The gateway lost the turn.' },
  ],
  ['it never arrived', history([]), { kind: 'resend-same' }],
  [
    'it never arrived in a conversation that exists',
    history([user('old'), said('old', 'x')], { status: 'done' }),
    { kind: 'resend-same' },
  ],
  [
    'it waited when the gateway died',
    history([user('old')], { status: 'running', pending: 'interrupted' }),
    { kind: 'resend-new' },
  ],
  [
    'the draining gateway refused it',
    history([neverBegan(K, 'Gateway is draining; new tasks are not accepted')], { status: 'failed' }),
    { kind: 'resend-new' },
  ],
  [
    'the gateway was broken',
    history([neverBegan(K, 'Agent database cleanup failed')], { status: 'failed', pending: 'interrupted' }),
    { kind: 'resend-new' },
  ],
  [
    'it failed before it began, for a reason of its own',
    history([neverBegan(K, 'workspace is not writable')], { status: 'failed' }),
    { kind: 'failed', reason: 'agent_failed', message: 'workspace is not writable' },
  ],
  ['its gateway died', history([user(K)], { status: 'running' }), { kind: 'resend-same' }],
  ['its gateway died inside a tool', history([user(K), toolCall(K)], { status: 'running' }), { kind: 'resend-same' }],
  ['its first rows are out of sight', history([toolCall(K), toolResult(K)], { status: 'running' }), { kind: 'resend-same' }],
  [
    'it waits in the queue',
    history([user('other')], { status: 'running', pending: 'queued' }),
    { kind: 'running', runKey: K, textSoFar: '', hasBegun: false },
  ],
  [
    'it runs',
    history([user(K)], { status: 'running', inFlightRun: { runId: K, text: 'so f' } }),
    { kind: 'running', runKey: K, textSoFar: 'so f', hasBegun: true },
  ],
  [
    'it is being repeated',
    history([user(K), system('r1')], { status: 'running', inFlightRun: { runId: 'r1', text: 'so f' } }),
    { kind: 'running', runKey: 'r1', textSoFar: 'so f', hasBegun: true },
  ],
  [
    'a repetition begins that does not show yet',
    history([user(K)], { status: 'running', inFlightRun: { runId: 'r1', text: '' } }),
    { kind: 'wait' },
  ],
  ['its repetition died too', history([user(K), system('r1')], { status: 'running' }), { kind: 'wait' }],
  [
    'its repetition ended',
    history([user(K), system('r1'), said('r1', 'hi')], { status: 'done' }),
    { kind: 'finished', text: 'hi', finishReason: 'stop' },
  ],
  [
    'the second repetition ended',
    history([user(K), system('r1'), toolCall('r1'), system('r2'), said('r2', 'hi')], { status: 'done' }),
    { kind: 'finished', text: 'hi', finishReason: 'stop' },
  ],
  [
    'its repetition ended, and a late resend failed',
    history([user(K), system('r1'), said('r1', 'hi'), terminalError(K, 'Agent run failed')], { status: 'failed' }),
    { kind: 'finished', text: 'hi', finishReason: 'stop' },
  ],
  [
    'its repetition failed',
    history([user(K), system('r1'), terminalError('r1', 'LLM request failed.')], { status: 'failed' }),
    { kind: 'failed', reason: 'model_error', message: 'LLM request failed.' },
  ],
  [
    'its repetition was aborted',
    history([user(K), system('r1'), abortedRow('r1', 'so')], { status: 'killed' }),
    { kind: 'cancelled', text: 'so' },
  ],
])('when %s', (_, seen, decision) => {
  expect(decideRecovery(seen, K)).toEqual(decision);
});

test('the repetitions of a turn are those before the next message, and no others', () => {
  const seen = history([
    user('old'),
    system('r0'),
    user(K),
    system('r1'),
    toolCall('r1'),
    system('r2'),
    user('next'),
    system('r3'),
  ]);
  expect(rerunsOf(seen, K)).toEqual(['r1', 'r2']);
  expect(rerunsOf(seen, 'old')).toEqual(['r0']);
  expect(rerunsOf(seen, 'unknown')).toEqual([]);
});

test('a gateway repeats what it believes to be running while nothing runs', () => {
  const answered = [user(K), said(K, 'hi')];
  expect(willRerun(history(answered, { status: 'running' }), K)).toBe(true);
  expect(willRerun(history([user(K)], { status: 'running' }), K)).toBe(true);
  expect(willRerun(history(answered, { status: 'done' }), K)).toBe(false);
  expect(willRerun(history([user(K)], { status: 'running', inFlightRun: { runId: K, text: '' } }), K)).toBe(false);
});

test('it repeats the newest turn only, and not under the key of one that it never began', () => {
  const behind = history([user(K), said(K, 'hi'), user('msg_next')], { status: 'running' });
  expect([willRerun(behind, K), willRerun(behind, 'msg_next'), willRerun(behind, 'msg_other')]).toEqual([false, true, false]);
});

test('a turn that is being repeated is known by the run that does it, and is not to be repeated once more', () => {
  const repeated = [user(K), said(K, 'hi'), system('r1')];
  const atWork = history(repeated, { status: 'running', inFlightRun: { runId: 'r1', text: '' } });
  expect([rerunAtWork(atWork, K), willRerun(atWork, K)]).toEqual(['r1', false]);
  expect(rerunAtWork(history(repeated, { status: 'running' }), K)).toBeNull();
  expect(rerunAtWork(atWork, 'msg_other')).toBeNull();
  expect(willRerun(history(repeated, { status: 'running' }), K)).toBe(false);
});

test('a turn is held open from the death of its gateway until its repetition has ended, at every moment between', () => {
  const answered = [user(K), said(K, 'hi')];
  const repeated = [...answered, system('r1')];
  const inFlightRun = { runId: 'r1', text: '' };
  const moments = [
    history(answered, { status: 'running' }),
    // The run has begun, and the row that names it is not written yet; then the other way round.
    history(answered, { status: 'running', inFlightRun }),
    history(repeated, { status: 'running' }),
    history(repeated, { status: 'running', inFlightRun }),
  ];
  expect(moments.map((moment) => isHeldOpen(moment, K))).toEqual([true, true, true, true]);
  expect(isHeldOpen(history(repeated, { status: 'killed' }), K)).toBe(false);
  expect(isHeldOpen(history([...repeated, user('msg_next')], { status: 'running' }), K)).toBe(false);
});

const anyRow = fc.oneof(
  fc
    .constantFrom(K, 'r1', 'r2', 'other')
    .chain((id) =>
      fc.constantFrom<object>(
        user(id),
        system(id),
        said(id, 'x'),
        said(id, 'x', null),
        toolCall(id),
        toolResult(id),
        terminalError(id, 'LLM request failed.'),
        neverBegan(id, 'Gateway is draining'),
        abortedRow(id, 'x'),
        timedOut(id),
      ),
    ),
);
const anyAround = fc.record(
  {
    status: fc.constantFrom('running', 'done', 'failed', 'killed', 'timeout'),
    lastRunId: fc.constantFrom(K, 'r1', 'other'),
    inFlightRun: fc.constantFrom({ runId: K, text: 'x' }, { runId: 'r1', text: 'x' }),
    pending: fc.constantFrom('queued', 'interrupted', 'cancelled'),
  },
  { requiredKeys: [] },
);

test('a turn whose whole answer is written is finished, whatever else there is', () => {
  fc.assert(
    fc.property(fc.array(anyRow), fc.array(anyRow), anyAround, (before, after, around) => {
      const withoutAbort = [...before, said(K, 'the answer'), ...after].filter((row) => !('openclawAbort' in row));
      expect(decideRecovery(history(withoutAbort, around), K)).toMatchObject({
        kind: 'finished',
        text: expect.stringContaining('the answer'),
      });
    }),
  );
});

test('a turn that began is never sent with a new key, unless the gateway says that it refused it', () => {
  fc.assert(
    fc.property(fc.array(anyRow), anyAround, (rows, around) => {
      const seen = [user(K), ...rows.filter((row) => !('customType' in row))];
      expect(decideRecovery(history(seen, around), K).kind).not.toBe('resend-new');
    }),
  );
});

test('a turn that runs is never sent again', () => {
  fc.assert(
    fc.property(fc.array(anyRow), anyAround, (rows, around) => {
      const decision = decideRecovery(history(rows, { ...around, inFlightRun: { runId: K, text: '' } }), K);
      expect(decision.kind).not.toMatch(/resend/);
    }),
  );
});
