import { z } from 'zod';
import type { GatewayClient } from '../wire/gateway-client.ts';
import { GatewayRequestError } from '../../gateway/gateway-errors.ts';

/** A connection, or the BulkWriter that many secrets need. */
type Requests = Pick<GatewayClient, 'request'>;

const listAnswer = z.looseObject({
  entries: z.array(z.looseObject({ name: z.string(), kind: z.string(), value: z.string().optional() })),
});

/** The names that a gateway's secret store holds. Throws GatewayRequestError. */
export async function secretNames(client: GatewayClient): Promise<string[]> {
  const { entries } = await listStore(client);
  return entries.map(({ name }) => name);
}

/**
 * Makes a gateway's secret store hold exactly these, which its agents find in the environment of what they run. They
 * count from the next run on. Throws GatewayRequestError, never with a value in it.
 */
export async function syncSecrets(client: Requests, wanted: ReadonlyMap<string, string>): Promise<void> {
  const { entries } = await listStore(client);
  const held = new Map(entries.map(({ name, kind, value }) => [name, kind === 'env' ? value : undefined]));
  for (const name of held.keys()) if (!wanted.has(name)) await request(client, 'secrets.store.delete', { name });
  for (const [name, value] of wanted)
    if (held.get(name) !== value) await request(client, 'secrets.store.set', { name, value, kind: 'env' });
}

async function listStore(client: Requests) {
  const parsed = listAnswer.safeParse(await request(client, 'secrets.store.list', {}));
  if (parsed.success) return parsed.data;
  // What zod says of it could repeat a value.
  throw new GatewayRequestError({
    code: 'UNEXPECTED_ANSWER',
    message: 'secrets.store.list answered in another form',
    retryable: false,
  });
}

/** The gateway's own words may repeat what it was sent: only its code is passed on. */
async function request(client: Requests, method: string, params: object): Promise<unknown> {
  try {
    return await client.request(method, params);
  } catch (error) {
    if (!(error instanceof GatewayRequestError)) throw error;
    const { code, retryable, retryAfterMs, limit } = error;
    throw new GatewayRequestError({ code, message: `${method} was refused`, retryable, retryAfterMs, limit });
  }
}
