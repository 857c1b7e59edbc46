import autocannon from 'autocannon';
import { startStack } from '../support/stack-under-test.ts';
import { closeTestRun, openTestRun } from '../support/test-run.ts';
await openTestRun();
try {
  const stack = await startStack();
  try {
    await stack.end('worker', 'SIGTERM');
    const account = await stack.newAccount();
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bench' });
    const { instanceId } = await account.ok('POST', '/instances', { name: 'bench' });
    const headers = { 'x-api-key': String(apiKey), 'content-type': 'application/json' };
    for (const path of ['/models', '/auth/me', `/instances/${instanceId}`, '/auth/keys', '/auth/me', `/instances/${instanceId}`]) {
      const r = await autocannon({ url: `${stack.url}/v1${path}`, headers, connections: 20, duration: 5 });
      console.log(path, r.requests.average, r.latency.p50, r.latency.p99, r.non2xx);
    }
  } finally { await stack.close(); }
} finally { await closeTestRun(); }
