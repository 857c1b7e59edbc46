import { expect, test } from '@jest/globals';
import { explainingStorage, StorageError } from '../../../runtime/host/storage-error.ts';

const failingWith = (code: string) => explainingStorage('/data', () => Promise.reject(Object.assign(new Error(code), { code })));

test('a full disk and a missing permission are said with the folder and what to do', async () => {
  await expect(failingWith('ENOSPC')).rejects.toThrow(StorageError);
  await expect(failingWith('ENOSPC')).rejects.toThrow('The disk that holds /data is full. Free some space');
  await expect(failingWith('EACCES')).rejects.toThrow('/data cannot be written. Give its folders to the user');
});

test('other errors come out as they are', async () => {
  await expect(failingWith('EMFILE')).rejects.toThrow('EMFILE');
});
