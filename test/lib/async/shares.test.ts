import { expect, test } from '@jest/globals';
import { createShares } from '../../../lib/async/shares.ts';

test('an owner takes up to its share, all owners together up to the total, and what is given back can be taken again', () => {
  const shares = createShares({ total: 10, each: 6 });
  const first = shares.take('a', 6);
  expect(shares.take('a', 1)).toBeNull();
  const second = shares.take('b', 4);
  expect([first, second]).not.toContain(null);
  expect(shares.take('c', 1)).toBeNull();
  first?.giveBack();
  first?.giveBack();
  expect(shares.take('c', 6)).not.toBeNull();
  expect(shares.take('a', 1)).toBeNull();
});

test('a share can be made smaller, not larger', () => {
  const shares = createShares({ total: 10, each: 10 });
  const share = shares.take('a', 10);
  share?.shrinkTo(4);
  share?.shrinkTo(8);
  expect(shares.take('b', 7)).toBeNull();
  expect(shares.take('b', 6)).not.toBeNull();
  share?.giveBack();
  expect(shares.take('c', 4)).not.toBeNull();
});
