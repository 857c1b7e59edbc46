import { expect, test } from '@jest/globals';
import { createLog } from '../../lib/log.ts';
import { createMetrics } from '../../lib/metrics.ts';
import { RelayError } from '../../relay/relay-error.ts';
import { createRelayMetrics } from '../../relay/relay-metrics.ts';
import { setUpRoutes } from '../../relay/routes/set-up-routes.ts';
import { offeredModel } from '../support/offered-model.ts';
import { openAiAt } from './relay-under-test.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';

const log = createLog('relay', 'silent');
const MIB = 1024 ** 2;

interface Answer {
  status: number;
  body?: string;
  headers?: Record<string, string>;
}

/** A relay's provider before an upstream that answers so, the last one for ever. */
async function asked(answers: readonly Answer[], { signal = new AbortController().signal } = {}) {
  let calls = 0;
  const upstream = await startScriptedUpstream((request, response) => {
    const { status, body = '{"choices":[]}', headers = {} } = answers[Math.min(calls, answers.length - 1)]!;
    calls += 1;
    request.resume().once('end', () => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body));
  });
  // Each call takes a second of its time.
  const patience = {
    ...{ budgetMs: 10_000, firstPauseMs: 1, firstByteMs: 60_000 },
    ...{ monotonicMs: () => calls * 1_000, random: Math.random },
  };
  const metrics = createRelayMetrics(createMetrics('relay'));
  const settings = { models: { m: offeredModel({ upstream: 'm' }) }, providers: { default: openAiAt(upstream.url) } };
  const routes = await setUpRoutes(settings, { patience, metrics, onChange: () => {}, log });
  try {
    const request = { model: 'm', messages: [] };
    const text = await routes.complete('m', { request, traceparent: undefined, signal }).then(
      async ({ body }) => {
        let whole = '';
        for await (const chunk of body) whole += Buffer.from(chunk).toString();
        return whole;
      },
      (error: unknown) => error,
    );
    return { text, calls };
  } catch (error) {
    return { text: error, calls };
  } finally {
    await routes.close();
    await upstream.close();
  }
}

test('what may pass is asked again until there is an answer, which arrives as it is', async () => {
  const { text, calls } = await asked([{ status: 429 }, { status: 503 }, { status: 500 }, { status: 200, body: '{"x":1}' }]);
  expect([text, calls]).toEqual(['{"x":1}', 4]);
});

test('a budget that is used up ends the call with 400, which no gateway tries again, in words that blame no account', async () => {
  const { text, calls } = await asked([{ status: 503, body: '{"error":{"message":"boom"}}' }]);
  expect(text).toBeInstanceOf(RelayError);
  expect(text).toMatchObject({ status: 400, message: expect.stringContaining(`asked ${calls} times`) });
  expect(calls).toBe(10);
});

test('a provider that asks for more time than there is gets no second call', async () => {
  for (const retryAfter of ['3600', '32.5', new Date(Date.now() + 3_600_000).toUTCString()]) {
    const { text, calls } = await asked([{ status: 429, headers: { 'retry-after': retryAfter } }]);
    expect([text, calls]).toEqual([expect.objectContaining({ status: 400 }), 1]);
  }
});

test.each([400, 401, 404, 422])('%s is final at once', async (status) => {
  const { text, calls } = await asked([{ status, body: '{"error":{"message":"no"}}' }]);
  expect(text).toBeInstanceOf(RelayError);
  expect(calls).toBe(1);
});

test('a caller that leaves ends the tries', async () => {
  const { text } = await asked([{ status: 503 }], { signal: AbortSignal.timeout(50) });
  expect(text).toMatchObject({ name: expect.stringMatching(/AbortError|TimeoutError|Error/) });
  expect(text).not.toMatchObject({ status: 400 });
});

test('an answer without end is cut, and only it', async () => {
  const { text } = await asked([{ status: 200, body: ' '.repeat(17 * MIB) }]);
  expect(text).toMatchObject({ status: 400, message: expect.stringContaining('larger') });
  expect(await asked([{ status: 200, body: '{}' }])).toEqual({ text: '{}', calls: 1 });
});
