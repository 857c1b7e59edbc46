import { expect, test } from '@jest/globals';
import { cacheDirOf } from '../../lib/cache-dir.ts';

test('the cache is where XDG says, else in the home', () => {
  expect(cacheDirOf({ XDG_CACHE_HOME: '/x', HOME: '/h' })).toBe('/x/thermidora');
  expect(cacheDirOf({ XDG_CACHE_HOME: '', HOME: '/h' })).toBe('/h/.cache/thermidora');
});
