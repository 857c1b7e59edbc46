import { createHash } from 'node:crypto';
import { isRuntimeId } from '../host/runtime-layout.ts';

/** Whose an object is, which runtime's, and what it is for: `gateway`, `files` or `probe` of a Pod. */
export const INSTALLATION_LABEL = 'thermidora/installation';
export const RUNTIME_LABEL = 'thermidora/runtime';
export const ROLE_LABEL = 'thermidora/role';
/** On a claim that is set aside: since when, in milliseconds since 1970. */
export const QUARANTINED_LABEL = 'thermidora/quarantined-at';
/** The epoch of the attempt that wrote an object last. The policy of deploy/kubernetes refuses a lower one. */
export const EPOCH_ANNOTATION = 'thermidora/epoch';
/** Of the Pods of instances: made by deploy/kubernetes, so that a Pod never waits for the account that a cluster gives a new namespace. */
export const SERVICE_ACCOUNT = 'thermidora-instance';
/** Keeps a Pod that has ended until its exit was read. */
export const FINALIZER = 'thermidora/exit';

/** How one installation calls what it has in its namespace. */
export interface Names {
  installation: string;
  /** Of the fence, the claim, the Secret and the Pod of one runtime. Throws when the id has not the form of a runtime id. */
  of(runtimeId: string): string;
  /** Of the object that stands for one start; a Pod whose start is gone is deleted by the cluster itself. */
  startOf(runtimeId: string): string;
  /** Of the Pod that works on the files of an instance whose gateway does not run. */
  filesOf(runtimeId: string): string;
  labelsOf(runtimeId: string): Record<string, string>;
  /** For queries: everything of ours that belongs to a runtime. */
  ours: string;
  walls: string;
}

/** A path below the objects of this kind in the namespace. */
export function pathOf(
  namespace: string,
  kind: 'configmaps' | 'secrets' | 'persistentvolumeclaims' | 'pods',
  name?: string,
): string {
  return `/api/v1/namespaces/${namespace}/${kind}${name === undefined ? '' : `/${name}`}`;
}

/** The names of the installation with this id. */
export function namesOf(installationId: string): Names {
  const installation = createHash('sha256').update(installationId).digest('hex').slice(0, 16);
  const of = (runtimeId: string): string => {
    if (!isRuntimeId(runtimeId)) throw new Error(`Not a runtime id: ${JSON.stringify(runtimeId)}`);
    return `oc-${runtimeId.replaceAll('_', '-')}`;
  };
  return {
    installation,
    of,
    startOf: (runtimeId) => `${of(runtimeId)}-start`,
    filesOf: (runtimeId) => `${of(runtimeId)}-files`,
    labelsOf: (runtimeId) => ({ [INSTALLATION_LABEL]: installation, [RUNTIME_LABEL]: runtimeId }),
    ours: `${INSTALLATION_LABEL}=${installation},${RUNTIME_LABEL}`,
    walls: `oc-walls-${installation}`,
  };
}
