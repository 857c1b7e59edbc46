import type { Gateway } from '../gateway/gateway.ts';
import { GatewayConnectError } from '../gateway/gateway-errors.ts';
import type { Endpoint } from '../driver.ts';
import { gatewayToken } from './install/tokens.ts';
import type { MasterKey } from './install/tokens.ts';
import { openClawGateway } from './open-claw-gateway.ts';
import { deviceOf } from './wire/device-identity.ts';
import { connectGateway } from './wire/gateway-client.ts';
import type { GatewayClient } from './wire/gateway-client.ts';
import type { InflowLimits } from './wire/inflow-budget.ts';

/** Who knows where the gateway of a runtime listens: a driver, or the row that a worker has written. */
interface Endpoints {
  /** Null when no gateway runs. */
  endpoint(runtimeId: string): Promise<Pick<Endpoint, 'wsUrl' | 'peer'> | null>;
}

export interface ConnectDeps {
  endpoints: Endpoints;
  /** The active one first: a gateway that was configured with an older one still takes its token. */
  masterKeys: readonly MasterKey[];
  /** How much one gateway may send. */
  inflow?: InflowLimits;
}

const CONNECT_MS = 10_000;

/** Connects to the gateway of a runtime. Throws GatewayConnectError, and the signal's reason when it is aborted. */
export async function connectOpenClaw(deps: ConnectDeps, runtimeId: string, signal: AbortSignal): Promise<Gateway> {
  const openFurther = (number: number, until: AbortSignal) => connect(deps, runtimeId, until, number);
  return openClawGateway(await connect(deps, runtimeId, signal, 0), openFurther);
}

async function connect(
  { endpoints, masterKeys, inflow }: ConnectDeps,
  runtimeId: string,
  signal: AbortSignal,
  number: number,
): Promise<GatewayClient> {
  const endpoint = await endpoints.endpoint(runtimeId);
  if (!endpoint) throw new GatewayConnectError('No gateway runs', { retryable: true });
  let refused: unknown = new GatewayConnectError('There is no master key', { retryable: false });
  for (const key of masterKeys) {
    try {
      const token = gatewayToken(key, runtimeId);
      const device = endpoint.peer === 'remote' ? deviceOf(key, runtimeId, number) : undefined;
      return await connectGateway({ wsUrl: endpoint.wsUrl, token, device, signal, timeoutMs: CONNECT_MS, inflow });
    } catch (error) {
      refused = error;
      if (!(error instanceof GatewayConnectError) || error.retryable) break;
    }
  }
  throw refused;
}
