import { join } from 'node:path';
import type { Config } from '../lib/config.ts';
import type { RuntimeDriver } from './driver.ts';
import { packageDirOf } from './openclaw/installation.ts';
import type { OpenClawInstallation } from './openclaw/installation.ts';
import type { SkillHost } from './openclaw/skill-catalogue.ts';
import { programPath } from './process/gateway-environment.ts';
import type { GatewayProgram } from './process/gateway-environment.ts';
import { ProcessDriver } from './process/process-driver.ts';

export interface DriverDeps {
  openclaw: OpenClawInstallation;
  cacheDir: string;
  /** The Node executable that gateways run with. */
  node: string;
}

/** The driver that RUNTIME names. Without an OpenClaw installation it reads, and refuses to start a gateway. */
export function createDriver(
  config: Pick<Config, 'RUNTIME' | 'DATA_DIR' | 'RELAY_HOST' | 'RELAY_PORT'>,
  deps: DriverDeps | null,
): RuntimeDriver {
  switch (config.RUNTIME) {
    case 'process':
      return new ProcessDriver({
        dataDir: config.DATA_DIR,
        relayUrl: relayUrlOf(config),
        program: deps && programOf(deps),
      });
  }
}

function programOf({ openclaw, cacheDir, node }: DriverDeps): GatewayProgram {
  return { node, entry: openclaw.entry, compileCacheDir: join(cacheDir, 'compile-cache') };
}

/** Where the built-in skills come from and run, in this way of running instances. */
export async function skillHost(
  { RUNTIME }: Pick<Config, 'RUNTIME'>,
  { cacheDir, node }: Pick<DriverDeps, 'cacheDir' | 'node'>,
): Promise<SkillHost> {
  const packageDir = await packageDirOf(cacheDir);
  switch (RUNTIME) {
    case 'process':
      return { packageDir, path: programPath(node), platform: process.platform };
  }
}

/** What an operator must know about this way of running instances, to be said at every start. */
export function driverWarnings({ RUNTIME }: Pick<Config, 'RUNTIME'>): string[] {
  switch (RUNTIME) {
    case 'process':
      return [
        'RUNTIME=process does not isolate instances from each other: all agents run as one user of this machine and ' +
          'can read its files and reach its network. Use it for yourself, not for customers who do not trust each other.',
      ];
  }
}

function relayUrlOf({ RELAY_HOST, RELAY_PORT }: Pick<Config, 'RELAY_HOST' | 'RELAY_PORT'>): string {
  const host = RELAY_HOST.includes(':') ? `[${RELAY_HOST}]` : RELAY_HOST;
  return `http://${host}:${RELAY_PORT}/v1`;
}
