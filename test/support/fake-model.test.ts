import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startFakeModel } from './fake-model.ts';
import type { FakeModel } from './fake-model.ts';

let model: FakeModel;
beforeAll(async () => {
  model = await startFakeModel();
});
afterAll(() => model.close());

interface Message {
  role: string;
  content: string;
}

async function complete(
  messages: Message[],
): Promise<{ status: number; message: unknown; finishReason: unknown; usage: unknown }> {
  const response = await fetch(`${model.url}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'm', messages }),
  });
  // The fake's own answer.
  const body = (await response.json()) as { choices?: [{ message: unknown; finish_reason: unknown }]; usage?: unknown };
  return {
    status: response.status,
    message: body.choices?.[0].message,
    finishReason: body.choices?.[0].finish_reason,
    usage: body.usage,
  };
}

const system: Message = { role: 'system', content: 'Be kind.' };
const user = (content: string): Message => ({ role: 'user', content });
const gatewayContext = user('<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>> now <<<END_OPENCLAW_INTERNAL_CONTEXT>>>');

test.each([
  ['hello', 'You said: hello'],
  ['[[SAY a fine day]]', 'a fine day'],
  ['[[WORDS 3]]', 'w1 w2 w3'],
  ['[[SYSTEM]]', 'Be kind.'],
  ['[[HISTORY]]', '3'],
  ['[[PIECES ["one", " \\u0000two"]]]', 'one \0two'],
])('%s is answered: %s', async (text, content) => {
  expect(await complete([system, user(text), gatewayContext])).toMatchObject({ message: { content } });
});

test('[[FAIL status]] answers with that status', async () => {
  expect(await complete([user('[[FAIL 503]]')])).toMatchObject({ status: 503 });
});

test('[[FINISH reason]] says why the answer ended', async () => {
  expect(await complete([user('hello')])).toMatchObject({ finishReason: 'stop' });
  expect(await complete([user('[[FINISH length]]')])).toMatchObject({ finishReason: 'length' });
});

test('a tool is called once, and its result is answered with text', async () => {
  const asked = [user('[[TOOL exec {"command":"date"}]]')];
  expect(await complete(asked)).toMatchObject({
    message: { tool_calls: [{ function: { name: 'exec', arguments: '{"command":"date"}' } }] },
  });
  const answered = await complete([...asked, { role: 'tool', content: 'Tuesday' }, gatewayContext]);
  expect(answered).toMatchObject({ message: { content: 'The tool said: Tuesday' } });
});

test('the default answer can be set', async () => {
  model.setDefault('always this');
  expect(await complete([user('hello')])).toMatchObject({ message: { content: 'always this' } });
});

test('a held answer goes on when its name is released, and a call that left is seen', async () => {
  const leave = new AbortController();
  const left = fetch(`${model.url}/chat/completions`, {
    method: 'POST',
    body: JSON.stringify({ model: 'm', messages: [user('[[HOLD a]] leaves')] }),
    signal: leave.signal,
  });
  const stays = complete([user('[[HOLD a]][[SAY stays]]')]);
  await model.waitForCall((call) => call.lastUserText.includes('leaves'));
  leave.abort();
  await expect(left).rejects.toThrow();
  await model.waitForCall((call) => call.lastUserText.includes('leaves') && call.aborted);

  model.release('a');
  expect(await stays).toMatchObject({ message: { content: 'stays' } });
  await model.waitForCall((call) => call.lastUserText.includes('stays') && call.finished);
  expect([model.answered('leaves'), model.answered('stays')]).toEqual([0, 1]);
});
