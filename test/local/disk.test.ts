import { expect, test } from '@jest/globals';
import { checkDisk } from '../../local/disk.ts';
import { explain, Refusal } from '../../local/refusal.ts';

test('a disk with room is no reason to refuse', async () => {
  await checkDisk('/', async () => 1024 ** 3);
});

test('a nearly full disk is refused with how much is free and how much is needed', async () => {
  await expect(checkDisk('/data', async () => 3 * 1024 ** 2)).rejects.toThrow(
    new Refusal(
      'The disk is nearly full: 3 MiB are free for /data, and at least 512 MiB are needed. ' +
        'Free some space, or set DATA_DIR to a folder on another disk.',
    ),
  );
});

test('a disk that fills up on the way is said in words', () => {
  expect(explain(Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' }))).toContain(
    'The disk is full.',
  );
});
