import { gatewayEnvironment } from '../host/gateway-environment.ts';
import type { GatewayProgram } from '../host/gateway-environment.ts';

/** The port of a gateway inside its container. */
export const GATEWAY_PORT = 18_789;

/** The volume of an instance: all that its gateway and its agents may write. */
export const STATE_DIR = '/home/node/.openclaw';
/** Where the gateway finds its configuration, which it can only read. */
export const CONFIG_DIR = '/etc/openclaw';
export const SKILLS_DIR = `${STATE_DIR}/skills`;
/** Our own programs in the image. */
export const OUR_DIR = '/opt/thermidora';
/** What runs a program as the user of an instance, whatever its number. */
export const ENTRYPOINT = ['/usr/bin/tini', '--', `${OUR_DIR}/runtime/image/as-instance.sh`];

export const PROGRAM: GatewayProgram = {
  node: '/usr/local/bin/node',
  entry: '/opt/openclaw/node_modules/openclaw/dist/index.js',
  compileCacheDir: '/opt/compile-cache',
};

/** Of the memory: what V8 maps beside its heap is as much again, and agents' commands need some too. */
const HEAP_SHARE = 1 / 3;

/** The whole environment of a gateway in a container with this much memory. It holds no secret: every user of the engine can read it. */
export function containerEnvironment(memoryMb: number): Record<string, string> {
  const environment = gatewayEnvironment({ stateDir: STATE_DIR, configFile: `${CONFIG_DIR}/openclaw.json` }, PROGRAM);
  return { ...environment, NODE_OPTIONS: `--max-old-space-size=${Math.floor(memoryMb * HEAP_SHARE)} --max-semi-space-size=8` };
}
