import { createHash } from 'node:crypto';
import { mkdir, readlink, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isErrno } from '../../lib/errno.ts';
import { replaceFile } from '../host/replace-file.ts';
import { runtimesDirOf } from '../host/runtime-layout.ts';
import type { RuntimeLayout } from '../host/runtime-layout.ts';

/** How many numbers there are from the first one on. */
const UIDS = 50_000;

/** No number is left for another instance. The message says what to do. */
export class UidError extends Error {}

/**
 * The number of the user that a runtime's processes are: its own on this machine, because the kernel counts inotify
 * instances, keys and signals by it. Claimed once and kept until it is released, also when the setting changes. One call
 * per runtime at a time.
 */
export async function uidOf(dataDir: string, runtimeId: string, firstUid: number, count = UIDS): Promise<number> {
  const { owners, uids } = await directories(dataDir);
  const known = await target(join(uids, runtimeId));
  if (known !== null && (await isClaimed(join(owners, known), runtimeId))) return Number(known);
  // Of a release that was cut off, after which another one has claimed the number.
  await rm(join(uids, runtimeId), { force: true });
  const uid = await claim(owners, runtimeId, { firstUid, count });
  await symlink(String(uid), join(uids, runtimeId));
  return uid;
}

/** Gives the number of a runtime back, whose storage must be gone. */
export async function releaseUid(dataDir: string, runtimeId: string): Promise<void> {
  const { owners, uids } = await directories(dataDir);
  const uid = await target(join(uids, runtimeId));
  if (uid === null) return;
  if ((await target(join(owners, uid))) === runtimeId) await rm(join(owners, uid), { force: true });
  await rm(join(uids, runtimeId), { force: true });
}

/** Two folders of links, because a link is made whole or not at all, by one process alone. */
async function directories(dataDir: string): Promise<{ owners: string; uids: string }> {
  const root = join(runtimesDirOf(dataDir), '.uids');
  const [owners, uids] = [join(root, 'owners'), join(root, 'uids')];
  for (const directory of [owners, uids]) await mkdir(directory, { recursive: true, mode: 0o700 });
  return { owners, uids };
}

interface Range {
  firstUid: number;
  count: number;
}

async function claim(owners: string, runtimeId: string, { firstUid, count }: Range): Promise<number> {
  // A place of the runtime's own, so that two at once seldom want the same.
  const start = createHash('sha256').update(runtimeId).digest().readUInt32BE(0) % count;
  for (let n = 0; n < count; n += 1) {
    const uid = firstUid + ((start + n) % count);
    if (await isClaimed(join(owners, String(uid)), runtimeId)) return uid;
  }
  throw new UidError(
    `All ${count} numbers of users from ${firstUid} on are taken. Name another first one in INSTANCE_FIRST_UID.`,
  );
}

async function isClaimed(link: string, runtimeId: string): Promise<boolean> {
  try {
    await symlink(runtimeId, link);
    return true;
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    // By an earlier attempt that was cut off.
    return (await target(link)) === runtimeId;
  }
}

async function target(link: string): Promise<string | null> {
  try {
    return await readlink(link);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return null;
    throw error;
  }
}

/** Who the processes of an instance are. */
export interface InstanceUser {
  uid: number;
  /** As the engine's create call says it. */
  name: string;
  /** By which programs find it: ssh, for example, refuses to run without. */
  passwdFile: string;
  groupFile: string;
}

interface UserOptions {
  dataDir: string;
  runtimeId: string;
  layout: RuntimeLayout;
  firstUid: number;
}

/** The user of a runtime: claimed and described unless that is done already. One call per runtime at a time. */
export async function ensureUser({ dataDir, runtimeId, layout, firstUid }: UserOptions): Promise<InstanceUser> {
  const uid = await uidOf(dataDir, runtimeId, firstUid);
  const [passwdFile, groupFile] = [join(layout.root, 'passwd'), join(layout.root, 'group')];
  await mkdir(layout.root, { recursive: true, mode: 0o700 });
  await replaceFile(passwdFile, `root:x:0:0::/root:/bin/bash\nnode:x:${uid}:${uid}::/home/node:/bin/bash\n`, 0o444);
  await replaceFile(groupFile, `root:x:0:\nnode:x:${uid}:\n`, 0o444);
  return { uid, name: `${uid}:${uid}`, passwdFile, groupFile };
}
