import { text } from 'node:stream/consumers';
import { expect, test } from '@jest/globals';
import { createEchoModel } from '../../relay/echo-model.ts';
import { contentOf } from './relay-under-test.ts';

async function answerTo(messages: object[], stream: boolean): Promise<string> {
  const { signal } = new AbortController();
  const call = { request: { model: 'm', messages, stream }, traceparent: undefined, signal };
  return text((await createEchoModel().complete(call)).body);
}

const said = [
  { role: 'user', content: 'earlier' },
  { role: 'user', content: [{ type: 'text', text: 'good morning' }] },
  { role: 'user', content: '<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>> now' },
];

test('it repeats what a person said last, and says what it is and which setting brings real answers', async () => {
  const content = contentOf(await answerTo(said, true));
  expect(content).toContain('You said: good morning');
  expect(content).toContain('built-in echo model');
  expect(content).toContain('MODEL_UPSTREAM_URL');
  expect(content).not.toContain('INTERNAL_CONTEXT');
});

test('its stream has the form of a provider: a role, words, a reason, the usage, [DONE]', async () => {
  const events = (await answerTo(said, true)).trimEnd().split('\n\n');
  expect(events[0]).toContain('"role":"assistant"');
  expect(events.at(-3)).toContain('"finish_reason":"stop"');
  expect(events.at(-2)).toContain('"prompt_tokens":2');
  expect(events.at(-1)).toBe('data: [DONE]');
});

test('without a stream it answers with one object, usage included', async () => {
  expect(JSON.parse(await answerTo(said, false))).toMatchObject({
    object: 'chat.completion',
    choices: [{ message: { role: 'assistant' } }],
    usage: { prompt_tokens: 2 },
  });
});

test('a long message is repeated in part', async () => {
  const content = contentOf(await answerTo([{ role: 'user', content: 'x'.repeat(100_000) }], true));
  expect(content.length).toBeLessThan(4_000);
});
