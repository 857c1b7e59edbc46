import { mkdtemp, readFile, readlink, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { ensureUser, releaseUid, uidOf } from '../../../runtime/docker/instance-user.ts';
import { layoutOf, runtimesDirOf } from '../../../runtime/host/runtime-layout.ts';

const FIRST = 1_900_000_000;
const COUNT = 8;
const names = Array.from({ length: COUNT }, (_, index) => `run_${index}`);

let dataDir: string;

beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'uids-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

const claim = (name: string, first = FIRST) => uidOf(dataDir, name, first, COUNT);

test('every instance has a number of its own, however many ask at once, and keeps it, also when the setting changes', async () => {
  const uids = await Promise.all(names.map((name) => claim(name)));
  expect(uids.toSorted((one, other) => one - other)).toEqual(names.map((_, index) => FIRST + index));
  expect(await Promise.all(names.map((name) => claim(name, 10_000)))).toEqual(uids);
});

test('where every number is taken the next instance is refused in words, and a released one is given again', async () => {
  const [first] = await Promise.all(names.map((name) => claim(name)));
  await expect(claim('run_more')).rejects.toThrow(
    `All ${COUNT} numbers of users from ${FIRST} on are taken. Name another first one in INSTANCE_FIRST_UID.`,
  );
  await releaseUid(dataDir, names[0]!);
  // Whatever is done twice.
  await releaseUid(dataDir, names[0]!);
  expect(await claim('run_more')).toBe(first);
});

test('a claim that was cut off is the same one again, and so is a release', async () => {
  const [name] = names as [string];
  const uid = await claim(name);
  const uids = join(runtimesDirOf(dataDir), '.uids');
  await rm(join(uids, 'uids', name));
  expect(await claim(name)).toBe(uid);
  // Another one has the number by now.
  const owner = join(uids, 'owners', String(uid));
  await rm(owner);
  await symlink('run_other', owner);
  expect(await claim(name)).not.toBe(uid);
  await rm(join(uids, 'uids', name));
  await symlink(String(uid), join(uids, 'uids', name));
  await releaseUid(dataDir, name);
  expect(await readlink(owner)).toBe('run_other');
});

test('programs of an instance find its user by its number', async () => {
  const layout = layoutOf(dataDir, 'run_1');
  const user = await ensureUser({ dataDir, runtimeId: 'run_1', layout, firstUid: FIRST });
  expect(user.name).toBe(`${user.uid}:${user.uid}`);
  expect(await readFile(user.passwdFile, 'utf8')).toContain(`node:x:${user.uid}:${user.uid}::/home/node:`);
  expect(await readFile(user.groupFile, 'utf8')).toContain(`node:x:${user.uid}:`);
});
