import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { isRuntimeId } from '../host/runtime-layout.ts';

/** Whose it is, and which runtime's. */
export const INSTALLATION_LABEL = 'thermidora.installation';
export const RUNTIME_LABEL = 'thermidora.runtime';
/** Which database and DATA_DIR it belongs to; what an earlier version made has none. */
export const INSTALLATION_ID_LABEL = 'thermidora.installation-id';

/** How one installation calls what it has on an engine, so that several on one engine keep out of each other's way. */
export interface Names {
  installation: string;
  /** The name of the container, volume and network of one runtime. Throws when the id has not the form of a runtime id. */
  of(runtimeId: string): string;
  /**
   * The network's interface on the host, that no other network has taken. The walls know it by its beginning; the rest is
   * a hash that two runtimes can share.
   */
  bridgeOf(runtimeId: string, taken: ReadonlySet<string>): string;
  /** Where its disk is mounted on the machine, when it has one. Out of the worker's sight, which would keep it in use. */
  diskOf(runtimeId: string): string;
  /** The container that makes, checks or mounts its disk. */
  diskWorkOf(runtimeId: string): string;
  /** How the names of all our interfaces begin. */
  bridgePrefix: string;
  labelsOf(runtimeId: string): Record<string, string>;
  /** For queries: what belongs to this runtime. */
  labelsFor(runtimeId: string): string[];
  /** For queries: everything of ours that belongs to a runtime. */
  ours: string[];
  walls: string;
}

/** The names of the installation that keeps its data there; the id goes into the labels of what is made. */
export function namesOf(dataDir: string, installationId?: string): Names {
  const installation = hex(resolve(dataDir), 6);
  const bridgePrefix = `t${installation}-`;
  const of = (runtimeId: string): string => {
    if (!isRuntimeId(runtimeId)) throw new Error(`Not a runtime id: ${JSON.stringify(runtimeId)}`);
    return `thermidora-${installation}-${runtimeId}`;
  };
  const known = (runtimeId: string) => ({ [INSTALLATION_LABEL]: installation, [RUNTIME_LABEL]: runtimeId });
  return {
    installation,
    of,
    bridgeOf(runtimeId, taken) {
      for (let attempt = 0; ; attempt += 1) {
        // An interface's name has 15 characters at most.
        const name = `${bridgePrefix}${hex(attempt === 0 ? runtimeId : `${runtimeId}/${attempt}`, 7)}`;
        if (!taken.has(name)) return name;
      }
    },
    diskOf: (runtimeId) => `/run/thermidora/${installation}/${runtimeId}`,
    diskWorkOf: (runtimeId) => `${of(runtimeId)}-disk`,
    bridgePrefix,
    labelsOf: (runtimeId) => ({
      ...known(runtimeId),
      ...(installationId !== undefined && { [INSTALLATION_ID_LABEL]: installationId }),
    }),
    labelsFor: (runtimeId) => Object.entries(known(runtimeId)).map(([label, value]) => `${label}=${value}`),
    ours: [`${INSTALLATION_LABEL}=${installation}`, RUNTIME_LABEL],
    walls: `thermidora-${installation}-walls`,
  };
}

function hex(text: string, digits: number): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits);
}
