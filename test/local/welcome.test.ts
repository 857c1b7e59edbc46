import { expect, test } from '@jest/globals';
import { welcome } from '../../local/welcome.ts';

const facts = {
  apiOrigin: 'http://127.0.0.1:3000',
  temporalUi: 'http://127.0.0.1:8233',
  apiKey: { file: '.thermidora/api-key', value: 'tc_live_new' },
  inviteCode: 'inv_abc',
  operatorToken: '.thermidora/operator-token',
  modelUpstream: null,
  logDir: '.thermidora/logs',
  consoleUrl: 'http://127.0.0.1:3000/console/#link=abc',
  warnings: ['Mind the gap.'],
};

test('the box is straight, says where everything is, and the call below it can be pasted', () => {
  const text = welcome(facts);
  const box = text.split('\n').filter((line) => /^[┌│└]/.test(line));
  expect(new Set(box.map((line) => line.length)).size).toBe(1);
  for (const part of [
    'http://127.0.0.1:3000/v1',
    'tc_live_new',
    'http://127.0.0.1:8233',
    'inv_abc',
    'built-in echo model',
    '.thermidora/logs',
  ])
    expect(box.join('\n')).toContain(part);
  expect(text).toContain('Note: Mind the gap.');
  expect(text).toContain(
    `curl -s 'http://127.0.0.1:3000/v1/instances?wait=60' -H "x-api-key: $(cat '.thermidora/api-key')" -H 'content-type: application/json' \\\n  -d '{`,
  );
});

test('the box ends with the link that opens the console', () => {
  const box = welcome(facts)
    .split('\n')
    .filter((line) => line.startsWith('│'));
  expect(box.at(-1)).toContain('http://127.0.0.1:3000/console/#link=abc');
});

test('a real model provider and a Temporal of somebody else are named', () => {
  const text = welcome({ ...facts, modelUpstream: 'https://models.example.com/v1', temporalUi: null });
  expect(text).toContain('https://models.example.com/v1');
  expect(text).toContain('that of TEMPORAL_ADDRESS');
  expect(text).not.toContain('echo');
});

test('a key that an earlier start has shown is not printed again', () => {
  const text = welcome({ ...facts, apiKey: { file: '.thermidora/api-key', value: null } });
  expect(text).toContain('API key          .thermidora/api-key ');
  expect(text).not.toContain('tc_live');
});

test('without an account of this machine the first call registers one', () => {
  const text = welcome({ ...facts, apiKey: null });
  expect(text).not.toContain('API key');
  expect(text).toContain(`curl -s http://127.0.0.1:3000/v1/auth/register -H 'content-type: application/json' \\\n  -d '{`);
});
