import { expect, test } from '@jest/globals';
import { parseJsonBody } from '../../../api/http/request-body.ts';

const MEBIBYTE = 1024 ** 2;

/** How often the event loop came to something else before the work was done. */
async function turnsDuring(work: Promise<unknown>): Promise<number> {
  let [turns, isDone] = [0, false];
  const count = () => {
    if (isDone) return;
    turns += 1;
    setImmediate(count);
  };
  setImmediate(count);
  await work;
  isDone = true;
  return turns;
}

test('while a large body is read, other calls are served between its parts', async () => {
  const value = { files: { 'a.md': 'a "line"\n'.repeat(MEBIBYTE) } };
  const parsing = parseJsonBody(Buffer.from(JSON.stringify(value)), {});
  expect(await turnsDuring(parsing)).toBeGreaterThanOrEqual(3);
  expect(await parsing).toEqual(value);
});
