import { delimiter, dirname, join } from 'node:path';
import type { RuntimeLayout } from './runtime-layout.ts';

export interface GatewayProgram {
  /** The Node executable. */
  node: string;
  /** OpenClaw's dist/index.js. */
  entry: string;
  /** V8's compile cache, shared by all gateways: saves about two seconds of each start. */
  compileCacheDir: string;
}

export function homeOf({ stateDir }: Pick<RuntimeLayout, 'stateDir'>): string {
  return join(stateDir, 'home');
}

export function tempDirOf({ stateDir }: Pick<RuntimeLayout, 'stateDir'>): string {
  return join(stateDir, 'tmp');
}

/**
 * The command that runs a gateway. A signal does not open Node's debugger, through which an agent could speak in the
 * gateway's place. Not in NODE_OPTIONS: programs of agents inherit that, and an older Node refuses to start with it.
 */
export function gatewayCommand({ node, entry }: GatewayProgram): string[] {
  return [node, '--disable-sigusr1', entry, 'gateway'];
}

/** Where gateways, and the skills of their agents, find programs. */
export function programPath(node: string): string {
  return [dirname(node), '/usr/local/bin', '/usr/bin', '/bin'].join(delimiter);
}

/**
 * The whole environment of a gateway. Nothing of the control plane's own environment is in it, because agents can
 * read all of it.
 */
export function gatewayEnvironment(
  layout: Pick<RuntimeLayout, 'stateDir' | 'configFile'>,
  program: GatewayProgram,
): Record<string, string> {
  return {
    HOME: homeOf(layout),
    TMPDIR: tempDirOf(layout),
    PATH: programPath(program.node),
    LANG: 'C.UTF-8',
    TZ: 'UTC',
    NODE_COMPILE_CACHE: program.compileCacheDir,
    // One gateway stays under 1 GiB with these.
    NODE_OPTIONS: '--max-old-space-size=512 --max-semi-space-size=8',
    MALLOC_ARENA_MAX: '2',
    OPENCLAW_HOME: homeOf(layout),
    OPENCLAW_STATE_DIR: layout.stateDir,
    OPENCLAW_CONFIG_PATH: layout.configFile,
    OPENCLAW_CONFIG_READONLY: '1',
    OPENCLAW_DISABLE_BONJOUR: '1',
    OPENCLAW_NO_RESPAWN: '1',
    OPENCLAW_EXEC_SHELL_SNAPSHOT: '0',
    OPENCLAW_SKIP_CHANNELS: '1',
    OPENCLAW_NO_AUTO_UPDATE: '1',
    OPENCLAW_OFFLINE: '1',
  };
}
