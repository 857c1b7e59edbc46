import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { deliveryHeaders } from '../../activities/webhooks/delivery-headers.ts';
import { newCron } from '../api/rows.ts';
import { TEST_LIMIT_MS } from '../support/eventually.ts';
import { ensureSdkPython } from '../support/sdk-python.ts';
import { startSdk } from './sdk-under-test.ts';
import type { SdkUnderTest } from './sdk-under-test.ts';
import { removeFolder } from '../support/remove-folder.ts';

const SOURCE = join(import.meta.dirname, '../../sdk/python');
const run = promisify(execFile);

let sdk: SdkUnderTest;
let bin: string;
let directory: string;
beforeAll(async () => {
  [sdk, bin, directory] = await Promise.all([startSdk(), ensureSdkPython(), mkdtemp(join(tmpdir(), 'sdk-python-'))]);
  for (const name of ['p1', 'p2', 'p3']) await newCron(sdk.api, sdk, name);
});
afterAll(async () => {
  await sdk?.close();
  await removeFolder(directory);
});

/** Deliveries as the worker signs them. */
function deliveries(): object {
  const [secret, other] = [0, 1].map(() => `whsec_${randomBytes(32).toString('base64')}`) as [string, string];
  const body = JSON.stringify({ eventId: 'evt_1', eventType: 'agent.message', data: { content: 'Grüße \u2028 {"a":1.0}' } });
  const ids = { webhookId: 'wh_1', deliveryId: 'dlv_1', eventId: 'evt_1', eventType: 'agent.message' };
  const signed = (minutes: number, previousSecret: string | null = null, signWith = secret) =>
    deliveryHeaders({
      ...ids,
      body: Buffer.from(body),
      secret: signWith,
      previousSecret,
      at: new Date(Date.now() + minutes * 60_000),
    });
  return { body, secret, other, now: signed(0), rotated: signed(0, secret, other), old: signed(-30), early: signed(30) };
}

async function python(command: string, args: string[], env: Record<string, string> = {}): Promise<string> {
  const options = {
    cwd: SOURCE,
    env: { PATH: process.env['PATH'], ...env },
    timeout: TEST_LIMIT_MS,
    maxBuffer: 16 * 1024 * 1024,
  };
  const { stdout } = await run(join(bin, command), args, options).catch((error: Error & { stdout?: string }) => {
    throw new Error(`${error.message}\n${error.stdout ?? ''}`);
  });
  return stdout;
}

test('the Python client keeps its promises in both of its kinds: sdk/python/tests', async () => {
  await writeFile(join(directory, 'deliveries.json'), JSON.stringify(deliveries()));
  const output = await python('python', ['-m', 'pytest', '-q', '-p', 'no:cacheprovider', 'tests'], {
    PYTHONPATH: join(SOURCE, 'src'),
    PYTHONDONTWRITEBYTECODE: '1',
    SDK_BASE_URL: sdk.baseUrl,
    SDK_API_KEY: sdk.apiKey,
    SDK_INSTANCE: sdk.instanceId,
    SDK_AGENT: sdk.agentId,
    SDK_DELIVERIES: join(directory, 'deliveries.json'),
  });
  expect(output).toMatch(/\d\d passed/);
});

test('the types of the Python client hold under the strict checks of mypy', async () => {
  expect(await python('mypy', ['--cache-dir', join(directory, 'mypy'), 'src'])).toContain('no issues found');
});
