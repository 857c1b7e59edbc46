import type { Bench } from './bench.ts';
import { rate } from './rate.ts';

/** GET /instances/:id with an API key on one API process. */
export const benchReads: Bench = async ({ stack }) => {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances', { name: 'bench' });
  await account.ok('POST', `/instances/${instanceId}/stop?wait=60`);
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bench' });
  const headers = { 'x-api-key': String(apiKey) };
  const rows = await rate('GET /instances/:id', 1_000, { url: `${stack.url}/v1/instances/${instanceId}`, headers });
  await account.ok('DELETE', `/instances/${instanceId}`);
  return rows;
};
