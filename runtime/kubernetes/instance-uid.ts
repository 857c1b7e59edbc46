import { createHash } from 'node:crypto';
import type { PodSettings } from './settings.ts';

const UIDS = 50_000;
/** The ids in a user namespace end at 65,535. */
const FIRST_IN_NAMESPACE = 10_000;

/**
 * The number of the user that the processes of an instance are, because kernels count inotify instances, keys and signals by it. Two
 * instances share one seldom, and it matters where they are on one node.
 */
export function uidOf(runtimeId: string, { firstUid, userNamespaces }: Pick<PodSettings, 'firstUid' | 'userNamespaces'>): number {
  const place = createHash('sha256').update(runtimeId).digest().readUInt32BE(0) % UIDS;
  return (userNamespaces ? FIRST_IN_NAMESPACE : firstUid) + place;
}
