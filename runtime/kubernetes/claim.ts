import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { PlacementError } from '../placement-error.ts';
import { METADATA_ONLY, orElse } from './api.ts';
import type { Cluster } from './cluster.ts';
import { uidOf } from './instance-uid.ts';
import { EPOCH_ANNOTATION, INSTALLATION_LABEL, pathOf, QUARANTINED_LABEL, RUNTIME_LABEL } from './names.ts';
import type { PodSettings } from './settings.ts';

/** Where a Pod that works on files has the whole claim of an instance: its state, and its skills beside it. */
export const CLAIM_DIR = '/claim';
const UID_ANNOTATION = 'thermidora/uid';
const SKILLS_ANNOTATION = 'thermidora/skills';
/** A claim is deleted once the Pods that use it are gone. */
const DELETED_MS = 30_000;
const POLL_MS = 200;
const PAGE = 500;
/** Ten million instances. */
const MAX_PAGES = 20_000;

const metadata = z.looseObject({
  name: z.string(),
  uid: z.string(),
  labels: z.record(z.string(), z.string()).default({}),
  annotations: z.record(z.string(), z.string()).default({}),
  deletionTimestamp: z.string().optional(),
});
const claimSchema = z.looseObject({
  metadata,
  spec: z.looseObject({ resources: z.looseObject({ requests: z.record(z.string(), z.string()).optional() }).optional() }),
  status: z.looseObject({ phase: z.string().optional() }).optional(),
});
const listed = z.looseObject({
  metadata: z.looseObject({ continue: z.string().optional() }),
  // Null where there are none.
  items: z.array(z.looseObject({ metadata })).nullable(),
});

/** The storage of an instance. */
export interface Claim {
  runtimeId: string;
  uid: string;
  /** The number of the user that owns what is in it. */
  userId: number | null;
  quarantinedAt: Date | null;
  isBound: boolean;
  /** It was deleted and will be gone; nothing can be stored in it any more. */
  isDeleting: boolean;
  /** The digest of the skills in it; null when they were never put there, and empty while they change. */
  skills: string | null;
  size: string | undefined;
}

export type ListedClaim = Omit<Claim, 'isBound' | 'size'>;

/** The claim of a runtime; null when it stores nothing. Throws when its name is taken by something else. */
export async function findClaim(
  { api, namespace, names }: Cluster,
  runtimeId: string,
  signal?: AbortSignal,
): Promise<Claim | null> {
  const found = await api.find(pathOf(namespace, 'persistentvolumeclaims', names.of(runtimeId)), signal && { signal });
  if (found === null) return null;
  const { metadata: about, spec, status } = claimSchema.parse(found);
  if (about.labels[INSTALLATION_LABEL] !== names.installation || about.labels[RUNTIME_LABEL] !== runtimeId)
    throw new Error(`The claim ${about.name} in ${namespace} is not of this installation. Give it a namespace of its own.`);
  return { ...aboutOf(about), isBound: status?.phase === 'Bound', size: spec.resources?.requests?.['storage'] };
}

/** All claims of the installation that are not on their way out, also those that are set aside. */
export async function listClaims({ api, namespace, names }: Cluster): Promise<ListedClaim[]> {
  const claims: ListedClaim[] = [];
  let next = '';
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const query = { labelSelector: names.ours, limit: String(PAGE), ...(next && { continue: next }) };
    const answer = await api.call('GET', pathOf(namespace, 'persistentvolumeclaims'), { query, accept: METADATA_ONLY });
    const { metadata: about, items } = listed.parse(answer);
    claims.push(...(items ?? []).map((item) => aboutOf(item.metadata)).filter(({ isDeleting }) => !isDeleting));
    next = about.continue ?? '';
    if (next === '') break;
  }
  return claims;
}

function aboutOf({ uid, labels, annotations, deletionTimestamp }: z.infer<typeof metadata>) {
  const at = labels[QUARANTINED_LABEL];
  const userId = annotations[UID_ANNOTATION];
  return {
    uid,
    runtimeId: labels[RUNTIME_LABEL] ?? '',
    isDeleting: deletionTimestamp !== undefined,
    skills: annotations[SKILLS_ANNOTATION] ?? null,
    userId: userId === undefined ? null : Number(userId),
    quarantinedAt: at === undefined ? null : new Date(Number(at)),
  };
}

/** Makes the claim of a runtime unless it has one, and a larger one of one that is smaller than the setting. Answers the user that owns what is in it. */
export async function ensureClaim(
  cluster: Cluster,
  runtimeId: string,
  call: { epoch: number; signal: AbortSignal },
  settings: PodSettings,
): Promise<number> {
  const { api, namespace, names } = cluster;
  const found = await afterDeletion(cluster, runtimeId, call.signal);
  const size = `${settings.diskMb}Mi`;
  if (found) {
    if (mebibytesOf(found.size) < settings.diskMb) await grow(cluster, runtimeId, size, call.signal);
    return found.userId ?? uidOf(runtimeId, settings);
  }
  const userId = uidOf(runtimeId, settings);
  const body = {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: {
      name: names.of(runtimeId),
      labels: names.labelsOf(runtimeId),
      annotations: { [EPOCH_ANNOTATION]: String(call.epoch), [UID_ANNOTATION]: String(userId) },
    },
    spec: {
      accessModes: [settings.accessMode],
      resources: { requests: { storage: size } },
      ...(settings.storageClass !== undefined && { storageClassName: settings.storageClass }),
    },
  };
  // By another call at the same time.
  await orElse(409, null, () => api.call('POST', pathOf(namespace, 'persistentvolumeclaims'), { body, signal: call.signal }));
  return userId;
}

/** Null once one that was deleted is gone. */
async function afterDeletion(cluster: Cluster, runtimeId: string, signal: AbortSignal): Promise<Claim | null> {
  const giveUp = performance.now() + DELETED_MS;
  for (;;) {
    const claim = await findClaim(cluster, runtimeId, signal);
    if (!claim?.isDeleting) return claim;
    if (performance.now() > giveUp)
      throw new PlacementError(`The deleted claim of ${runtimeId} does not go: a Pod still uses it.`);
    await sleep(POLL_MS, undefined, { signal });
  }
}

/** The size of our own claims; that of others is as good as any. */
function mebibytesOf(size: string | undefined): number {
  const [, number, unit] = /^(\d+)(Mi|Gi)$/.exec(size ?? '') ?? [];
  return number === undefined ? Number.POSITIVE_INFINITY : Number(number) * (unit === 'Gi' ? 1_024 : 1);
}

/** Not every storage class lets claims grow; then they stay as they are. */
async function grow({ api, namespace, names }: Cluster, runtimeId: string, size: string, signal: AbortSignal): Promise<void> {
  const body = { spec: { resources: { requests: { storage: size } } } };
  const path = pathOf(namespace, 'persistentvolumeclaims', names.of(runtimeId));
  await orElse([403, 404, 409, 422], null, () => api.call('PATCH', path, { body, type: 'application/merge-patch+json', signal }));
}

/** Sets a claim aside since then, or, with null, puts it back. */
export function markQuarantine(
  cluster: Cluster,
  claim: Claim,
  at: Date | null,
  call: { epoch: number; signal: AbortSignal },
): Promise<void> {
  return mark(cluster, claim, { labels: { [QUARANTINED_LABEL]: at && String(at.getTime()) } }, call);
}

/** Notes which skills are in a claim; empty: they are about to change. */
export function markSkills(
  cluster: Cluster,
  claim: Claim,
  digest: string,
  call: { epoch: number; signal: AbortSignal },
): Promise<void> {
  return mark(cluster, claim, { annotations: { [SKILLS_ANNOTATION]: digest } }, call);
}

/** The claim must be the one that was looked at. */
async function mark(
  { api, namespace, names }: Cluster,
  { uid, runtimeId }: Claim,
  { labels = {}, annotations = {} }: { labels?: Record<string, string | null>; annotations?: Record<string, string> },
  { epoch, signal }: { epoch: number; signal: AbortSignal },
): Promise<void> {
  const body = { metadata: { uid, labels, annotations: { ...annotations, [EPOCH_ANNOTATION]: String(epoch) } } };
  const path = pathOf(namespace, 'persistentvolumeclaims', names.of(runtimeId));
  await api.call('PATCH', path, { body, type: 'application/merge-patch+json', signal });
}

/** Deletes a claim with what is stored in it. The cluster does so once no Pod uses it. */
export async function deleteClaim(
  { api, namespace, names }: Cluster,
  { runtimeId, uid }: Claim,
  signal: AbortSignal,
): Promise<void> {
  const path = pathOf(namespace, 'persistentvolumeclaims', names.of(runtimeId));
  await orElse([404, 409], null, () => api.call('DELETE', path, { body: { preconditions: { uid } }, signal }));
}
