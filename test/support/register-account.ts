import { randomBytes } from 'node:crypto';
import { createApiClient } from './api-client.ts';
import type { ApiClient } from './api-client.ts';

/** Registers a new account of the API at this address, with this sign-up credit, and calls as it, by an API key. */
export async function registerAccount(
  url: string,
  operator: ApiClient,
  creditUsd?: string,
): Promise<ApiClient & { accountId: string }> {
  const { code } = await operator.ok('POST', '/admin/invites', { uses: 1, ...(creditUsd === undefined ? {} : { creditUsd }) });
  const email = `user-${randomBytes(6).toString('hex')}@example.com`;
  const account = await createApiClient(url, {}).ok('POST', '/auth/register', { name: 'Test', email, inviteCode: code });
  const token = createApiClient(url, { authorization: `Bearer ${account.token}` });
  const { apiKey } = await token.ok('POST', '/auth/keys', { name: 'test' });
  return { ...createApiClient(url, { 'x-api-key': String(apiKey) }), accountId: String(account.accountId) };
}
