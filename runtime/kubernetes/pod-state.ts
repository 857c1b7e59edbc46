import { constants } from 'node:os';
import { z } from 'zod';
import { GATEWAY_PORT } from '../docker/in-container.ts';
import type { Endpoint, RuntimeExit, RuntimeState } from '../driver.ts';
import { EPOCH_ANNOTATION, ROLE_LABEL, RUNTIME_LABEL } from './names.ts';
import { troubleOf } from './pod-trouble.ts';

const time = z.iso.datetime({ offset: true }).transform((text) => new Date(text));
const terminated = z.looseObject({
  exitCode: z.number().int(),
  reason: z.string().optional(),
  message: z.string().optional(),
  startedAt: time.nullish(),
  finishedAt: time.nullish(),
});
const container = z.looseObject({
  name: z.string(),
  state: z
    .looseObject({
      running: z.looseObject({ startedAt: time.nullish() }).optional(),
      terminated: terminated.optional(),
      waiting: z.looseObject({ reason: z.string().optional(), message: z.string().optional() }).optional(),
    })
    .default({}),
});
const condition = z.looseObject({
  type: z.string(),
  status: z.string(),
  reason: z.string().optional(),
  message: z.string().optional(),
});
const podSchema = z.looseObject({
  metadata: z.looseObject({
    name: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
    deletionTimestamp: time.optional(),
  }),
  spec: z.looseObject({ nodeName: z.string().optional() }),
  status: z
    .looseObject({
      phase: z.string().default('Pending'),
      podIP: z.string().optional(),
      reason: z.string().optional(),
      message: z.string().optional(),
      conditions: z.array(condition).default([]),
      initContainerStatuses: z.array(container).default([]),
      containerStatuses: z.array(container).default([]),
    })
    .default({ phase: 'Pending', conditions: [], initContainerStatuses: [], containerStatuses: [] }),
});
export type RawPod = z.infer<typeof podSchema>;

/** What the driver knows of a Pod: little, because there are many. */
export interface Pod {
  name: string;
  uid: string;
  version: string;
  runtimeId: string;
  role: string;
  epoch: number;
  node: string | null;
  address: string | null;
  isDeleting: boolean;
  /** The cluster ends it: its node is drained or lost, or has no room for it. */
  isDisrupted: boolean;
  /** Whether the sidecar for files runs, or the program of a Pod for files. */
  canWorkOnFiles: boolean;
  /** Of the main container. */
  status: 'waiting' | 'running' | 'ended';
  startedAt: Date | null;
  end: { code: number | null; at: Date | null; message: string } | null;
  /** Why it does not run, in words. */
  trouble: string | null;
}

const MAIN = new Set(['gateway', 'main']);

/** Throws when it is no Pod. */
export function podOf(answer: unknown): Pod {
  const raw = podSchema.parse(answer);
  const { metadata, spec, status } = raw;
  const main = status.containerStatuses.find(({ name }) => MAIN.has(name))?.state ?? {};
  const sidecar = status.initContainerStatuses.find(({ name }) => name === 'files')?.state;
  const end = endOf(raw, main.terminated);
  return {
    name: metadata.name,
    uid: metadata.uid,
    version: metadata.resourceVersion,
    runtimeId: metadata.labels[RUNTIME_LABEL] ?? '',
    role: metadata.labels[ROLE_LABEL] ?? '',
    epoch: Number(metadata.annotations[EPOCH_ANNOTATION] ?? 0),
    node: spec.nodeName ?? null,
    address: status.podIP ?? null,
    isDeleting: metadata.deletionTimestamp !== undefined,
    isDisrupted: status.conditions.some(({ type, status: is }) => type === 'DisruptionTarget' && is === 'True'),
    canWorkOnFiles: Boolean(sidecar ? sidecar.running : main.running),
    status: end ? 'ended' : main.running ? 'running' : 'waiting',
    startedAt: (main.running ?? main.terminated)?.startedAt ?? null,
    end,
    trouble: troubleOf(raw),
  };
}

/** Look at the container: the phase stays `Running` until the sidecar has ended too, and an evicted Pod may have no container. */
function endOf({ metadata, spec, status }: RawPod, ended: z.infer<typeof terminated> | undefined): Pod['end'] {
  if (ended) return { code: ended.exitCode, at: ended.finishedAt ?? null, message: ended.message ?? '' };
  const isOver = status.phase === 'Failed' || status.phase === 'Succeeded';
  // One that was deleted before it had a node never ran.
  const neverRan = metadata.deletionTimestamp !== undefined && spec.nodeName === undefined;
  return isOver || neverRan ? { code: null, at: null, message: status.message ?? '' } : null;
}

export function stateOf(runtimeId: string, { status, startedAt }: Pod): RuntimeState {
  return { runtimeId, status: status === 'running' ? 'running' : 'exited', startedAt };
}

/** Null when it does not run, or has no address yet. */
export function endpointOf({ status, address }: Pod): Endpoint | null {
  if (status !== 'running' || address === null) return null;
  const authority = address.includes(':') ? `[${address}]:${GATEWAY_PORT}` : `${address}:${GATEWAY_PORT}`;
  return { httpUrl: `http://${authority}`, wsUrl: `ws://${authority}`, peer: 'remote' };
}

/** When and how its gateway ended, in whole seconds, rounded down; null when it has not, or that is not known. */
export function exitOfPod({ end, isDisrupted }: Pod): RuntimeExit | null {
  if (!end?.at) return null;
  const signal = end.code === null ? null : signalNumbered(end.code - 128);
  return { at: end.at, code: signal ? null : end.code, signal, ...(isDisrupted && { isDisruption: true }) };
}

function signalNumbered(number: number): string | null {
  return Object.entries(constants.signals).find(([, value]) => value === number)?.[0] ?? null;
}
