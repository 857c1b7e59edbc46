import { expect, test } from '@jest/globals';
import { subnetsOf } from '../../../runtime/docker/instance-network.ts';
import { namesOf } from '../../../runtime/docker/names.ts';

test('every runtime tries each subnet of the range once, beginning at a place of its own', () => {
  const [one, other] = ['rt_one', 'rt_two'].map((id) => [...subnetsOf('10.203.255.0/24', id)]);
  expect(one).toHaveLength(64);
  expect(new Set(one)).toEqual(new Set(other));
  expect(one).toContain('10.203.255.252/30');
  expect(one?.[0]).not.toBe(other?.[0]);
});

test('an interface has a name that fits, and that the walls of its own installation know', () => {
  const names = namesOf('/var/lib/thermidora');
  const first = names.bridgeOf('rt_0123456789abcdef', new Set());
  const second = names.bridgeOf('rt_0123456789abcdef', new Set([first]));
  expect(second).not.toBe(first);
  for (const name of [first, second]) {
    expect(name).toHaveLength(15);
    expect(name.startsWith(names.bridgePrefix)).toBe(true);
  }
  expect(namesOf('/var/lib/another').bridgePrefix).not.toBe(names.bridgePrefix);
});

test('an id that could name something else is refused', () => {
  for (const id of ['../x', 'a/b', '', 'A', 'x?force=1']) expect(() => namesOf('/data').of(id)).toThrow('Not a runtime id');
});
