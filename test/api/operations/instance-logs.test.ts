import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { gatewayToken, relayToken } from '../../../runtime/openclaw/install/tokens.ts';
import { MASTER_KEY, startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { newInstance } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
});

afterAll(() => api.close());

async function newLog(text: string) {
  const instanceId = await newInstance(account);
  expect(await account.ok('GET', `/instances/${instanceId}/logs`)).toEqual({ lines: [] });
  const [row] = await api.sql<{ runtime_id: string }>('select runtime_id from instances where id = ?', [instanceId]);
  const runtimeId = row?.runtime_id ?? '';
  const folder = join(api.dataDir, 'runtimes', runtimeId);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'output.log'), text.replaceAll('$TOKEN', gatewayToken(MASTER_KEY, runtimeId)));
  return instanceId;
}

describe('instances.logs', () => {
  test('answers the last lines with every token and every secret masked', async () => {
    const oldKey = { id: 'old', key: Buffer.alloc(32, 1) };
    const foreign = relayToken([oldKey], { agentId: api.deps.makeId('agt'), epoch: 3 });
    const instanceId = await newLog(
      `one\ntwo $TOKEN and Bearer abc.def\nthree ${foreign}\nfour s3cret-value MIIEvQIBADAN {"K":"ab\\nMIIEvQIBADAN"}\n`,
    );
    await account.ok('POST', `/instances/${instanceId}/secrets`, { secrets: { TOKEN: 's3cret-value', PEM: 'ab\nMIIEvQIBADAN' } });
    const { lines } = await account.ok('GET', `/instances/${instanceId}/logs?limit=3`);
    expect(lines).toEqual([
      { at: null, text: 'two [masked] and Bearer [masked]' },
      { at: null, text: 'three [masked]' },
      { at: null, text: 'four [masked] [masked] {"K":"[masked]"}' },
    ]);
  });

  test('are refused in words where secrets have too many lines to be masked, and never shown unmasked', async () => {
    const instanceId = await newLog('a line-1000\n');
    const lines = (from: number) => Array.from({ length: 5_000 }, (_, index) => `line-${from + index}`).join('\n');
    const secrets = Object.fromEntries([1, 2, 3, 4, 5].map((number) => [`S${number}`, lines(number * 5_000)]));
    await account.ok('POST', `/instances/${instanceId}/secrets`, { secrets });
    const { status, body } = await account.call('GET', `/instances/${instanceId}/logs`);
    expect([status, body.error.code, body.error.retryable]).toEqual([503, 'unavailable', false]);
    expect(body.error.message).toContain('the secrets of this instance have too many lines');
  });
});
