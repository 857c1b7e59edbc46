import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startStack } from '../support/stack-under-test.ts';
import type { ProcessName, StackUnderTest } from '../support/stack-under-test.ts';

const LONG_MS = 300_000;
const PARTS: readonly ProcessName[] = ['relay', 'api', 'worker'];

let stack: StackUnderTest;

beforeAll(async () => {
  stack = await startStack();
}, LONG_MS);
afterAll(() => stack?.close(), LONG_MS);

test('every metric that the Grafana dashboard shows is exported by some part', async () => {
  const texts = await Promise.all(PARTS.map(async (part) => (await fetch(stack.metricsUrlOf(part))).text()));
  const exported = new Set(texts.flatMap((text) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)));
  const dashboard = await readFile(join(import.meta.dirname, '../../monitoring/grafana-dashboard.json'), 'utf8');
  const expressions = [...dashboard.matchAll(/"expr": "(.*)"/g)].map(([, expression = '']) => expression);
  const shown = expressions.flatMap((expression) => expression.match(/\b(?:thermidora|process|nodejs)_[a-z0-9_]+/g) ?? []);
  const names = new Set(shown.map((name) => name.replace(/_(bucket|count|sum)$/, '')));
  expect(names.size).toBeGreaterThan(15);
  expect([...names].filter((name) => !exported.has(name))).toEqual([]);
  const ours = [...exported].filter((name) => name?.startsWith('thermidora_'));
  expect(ours.filter((name) => !names.has(name ?? ''))).toEqual([]);
});
