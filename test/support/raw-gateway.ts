import type { ConnectDeps } from '../../runtime/openclaw/connect-open-claw.ts';
import { gatewayToken } from '../../runtime/openclaw/install/tokens.ts';
import { openClawGateway } from '../../runtime/openclaw/open-claw-gateway.ts';
import { connectGateway } from '../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayClient } from '../../runtime/openclaw/wire/gateway-client.ts';
import type { Gateway } from '../../runtime/gateway/gateway.ts';
import { PATIENCE_MS } from './eventually.ts';

/** A connection to the gateway of a runtime, to ask what the product does not. The caller closes it. */
export async function connectRaw(
  { endpoints, masterKeys }: Pick<ConnectDeps, 'endpoints' | 'masterKeys'>,
  runtimeId: string,
): Promise<GatewayClient> {
  const [endpoint, [key]] = [await endpoints.endpoint(runtimeId), masterKeys];
  if (!endpoint || !key) throw new Error('There is no gateway to connect to');
  const signal = AbortSignal.timeout(PATIENCE_MS);
  return connectGateway({ wsUrl: endpoint.wsUrl, token: gatewayToken(key, runtimeId), signal, timeoutMs: PATIENCE_MS });
}

/** This connection as the product sees it, without any beside it. */
export function asGateway(client: GatewayClient): Gateway {
  return openClawGateway(client, () => Promise.reject(new Error('There is no further connection')));
}
