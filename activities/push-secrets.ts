import type { GatewayClient } from '../runtime/openclaw/wire/gateway-client.ts';
import { syncSecrets } from '../runtime/openclaw/content/secret-store.ts';
import { BulkWriter } from '../runtime/openclaw/wire/write-limit.ts';
import type { Attempt } from './run-step.ts';
import type { StepDeps } from './step-deps.ts';

/** Brings a ready gateway to these secrets, however many have changed. Throws GatewayRequestError, never with a value in it. */
export async function pushSecrets(
  { connections }: StepDeps,
  { runtimeId, signal }: Attempt,
  { client, secrets }: { client: GatewayClient; secrets: ReadonlyMap<string, string> },
): Promise<void> {
  const connectFurther = (number: number) => connections.openFurther(runtimeId, number, signal);
  const writer = new BulkWriter(client, { connectFurther, signal });
  try {
    await syncSecrets(writer, secrets);
  } finally {
    writer.close();
  }
}
