import { expect, test } from '@jest/globals';
import { welcome } from '../../local/welcome.ts';

const facts = {
  apiOrigin: 'http://127.0.0.1:3000',
  temporalUi: 'http://127.0.0.1:8233',
  inviteCode: 'inv_abc',
  operatorToken: '.thermidora/operator-token',
  modelUpstream: null,
  logDir: '.thermidora/logs',
  warnings: ['Mind the gap.'],
};

test('the box is straight, says where everything is, and the call below it can be pasted', () => {
  const text = welcome(facts);
  const box = text.split('\n').filter((line) => /^[┌│└]/.test(line));
  expect(new Set(box.map((line) => line.length)).size).toBe(1);
  for (const part of ['http://127.0.0.1:3000/v1', 'http://127.0.0.1:8233', 'inv_abc', 'built-in echo model', '.thermidora/logs'])
    expect(box.join('\n')).toContain(part);
  expect(text).toContain('Note: Mind the gap.');
  expect(text).toContain(`curl -s http://127.0.0.1:3000/v1/auth/register -H 'content-type: application/json' \\\n  -d '{`);
});

test('a real model provider and a Temporal of somebody else are named', () => {
  const text = welcome({ ...facts, modelUpstream: 'https://models.example.com/v1', temporalUi: null });
  expect(text).toContain('https://models.example.com/v1');
  expect(text).toContain('that of TEMPORAL_ADDRESS');
  expect(text).not.toContain('echo');
});
