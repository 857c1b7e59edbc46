import { expect, test } from '@jest/globals';
import { Silence } from '../../worker/gateways/silence.ts';
import type { ProbeAnswer, Verdict } from '../../worker/gateways/silence.ts';

/** The verdict after each of these probes. */
function judge(...probes: readonly [count: number, answer: ProbeAnswer][]): Verdict[] {
  const silence = new Silence();
  return probes.flatMap(([count, answer]) => Array.from({ length: count }, () => silence.count(answer)));
}

test('ten probes in a row that nothing explains are a death, nine are not', () => {
  expect(judge([9, 'silent']).at(-1)).toBe('waiting');
  expect(judge([10, 'silent']).at(-1)).toBe('dead');
  expect(judge([9, 'silent'], [1, 'answered'], [9, 'silent']).at(-1)).toBe('waiting');
});

test.each(['busy', 'starved'] as const)(
  'a gateway that is %s is slow from the tenth probe on, and dead at the sixtieth',
  (why) => {
    const verdicts = judge([60, why]);
    expect(verdicts.slice(0, 9).every((verdict) => verdict === 'waiting')).toBe(true);
    expect(verdicts.slice(9, 59).every((verdict) => verdict === 'slow')).toBe(true);
    expect(verdicts.at(-1)).toBe('dead');
  },
);

test('a gateway that was slow and answers is no more so, and has its whole time again', () => {
  expect(judge([59, 'starved'], [1, 'answered']).at(-1)).toBe('answers');
  expect(judge([59, 'starved'], [1, 'answered'], [59, 'starved']).at(-1)).toBe('slow');
});

test('ten probes that nothing explains are a death, also when others between them are explained', () => {
  expect(judge([9, 'silent'], [20, 'starved']).at(-1)).toBe('slow');
  expect(judge([9, 'silent'], [20, 'starved'], [1, 'silent']).at(-1)).toBe('dead');
});
