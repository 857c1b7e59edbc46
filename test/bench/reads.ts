import autocannon from 'autocannon';
import type { Bench } from './bench.ts';

const CONNECTIONS = 20;
const SECONDS = 10;
const WARM_UP_SECONDS = 3;

/** GET /instances/:id with an API key on one API process. */
export const benchReads: Bench = async ({ stack }) => {
  const account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances', { name: 'bench' });
  await account.ok('POST', `/instances/${instanceId}/stop?wait=60`);
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'bench' });
  const read = (seconds: number) =>
    autocannon({
      url: `${stack.url}/v1/instances/${instanceId}`,
      headers: { 'x-api-key': apiKey },
      connections: CONNECTIONS,
      duration: seconds,
    });
  // Until its code is compiled, a process answers more slowly.
  await read(WARM_UP_SECONDS);
  const result = await read(SECONDS);
  if (result.non2xx > 0) throw new Error(`${result.non2xx} reads were not answered 200`);
  await account.ok('DELETE', `/instances/${instanceId}`);
  const rate = result.requests.average;
  const { p50, p99 } = result.latency;
  return [
    { what: 'GET /instances/:id, per second', values: [rate], unit: 'requests/s', goal: '>= 1,000', reached: rate >= 1_000 },
    { what: 'GET /instances/:id', values: [p50, p99], unit: 'ms', goal: 'p99 < 50', reached: p99 < 50 },
  ];
};
