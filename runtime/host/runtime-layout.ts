import { join, resolve } from 'node:path';
import type { RuntimePaths } from '../driver.ts';

/** Where everything of one runtime lies. Only `epochFile` and `lockFile` outlive a destroy, and a quarantine moves `root`. */
export interface RuntimeLayout {
  root: string;
  configDir: string;
  configFile: string;
  stateDir: string;
  /** What the gateway wrote to its output. */
  outputFile: string;
  portFile: string;
  /** The skills of all agents: ours, though a gateway looks for them in its state. */
  skillsDir: string;
  /** Which skills were put there. */
  skillsMarkFile: string;
  epochFile: string;
  lockFile: string;
  /** Of all runtimes: where those that no instance owns are moved to. */
  quarantineDir: string;
}

export const RUNTIME_ID = /^[a-z0-9][a-z0-9_-]{0,63}$/;

export function runtimesDirOf(dataDir: string): string {
  return resolve(dataDir, 'runtimes');
}

export function quarantineDirOf(dataDir: string): string {
  return join(runtimesDirOf(dataDir), '.quarantine');
}

/** The layout of one runtime. Throws when the id has not the form of a runtime id, so that it can name no other path. */
export function layoutOf(dataDir: string, runtimeId: string): RuntimeLayout {
  if (!isRuntimeId(runtimeId)) throw new Error(`Not a runtime id: ${JSON.stringify(runtimeId)}`);
  const runtimes = runtimesDirOf(dataDir);
  const root = join(runtimes, runtimeId);
  const fences = join(runtimes, '.epochs');
  return {
    root,
    configDir: join(root, 'config'),
    configFile: join(root, 'config', 'openclaw.json'),
    stateDir: join(root, 'state'),
    outputFile: join(root, 'output.log'),
    portFile: join(root, 'port'),
    skillsDir: join(root, 'state', 'skills'),
    skillsMarkFile: join(root, 'skills.sha256'),
    epochFile: join(fences, runtimeId),
    lockFile: join(fences, `${runtimeId}.lock`),
    quarantineDir: quarantineDirOf(dataDir),
  };
}

export function isRuntimeId(name: string): boolean {
  return RUNTIME_ID.test(name);
}

/** The paths as the gateway sees them; for a process they are those of the machine. */
export function gatewayPathsOf({ stateDir }: Pick<RuntimeLayout, 'stateDir'>): RuntimePaths {
  return {
    stateDir,
    logFile: join(stateDir, 'logs', 'gateway.log'),
    workspaceOf: (gatewayAgentId) => join(stateDir, 'workspaces', gatewayAgentId),
    agentDirOf: (gatewayAgentId) => join(stateDir, 'agents', gatewayAgentId, 'agent'),
  };
}
