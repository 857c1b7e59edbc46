import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EventSourceParserStream } from 'eventsource-parser/stream';
import { createApiClient } from '../../support/api-client.ts';
import { eventually } from '../../support/eventually.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { makeRunning, newInstance } from '../rows.ts';

interface Shown {
  instanceId: string;
  name?: string;
  status?: string;
  deleted?: true;
}

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
});
afterAll(() => api.close());

/** Follows the stream; `next` answers the next instance that it sends, and `close` hangs up. */
async function follow(query = '', headers: Record<string, string> = { authorization: `Bearer ${account.token}` }) {
  const gone = new AbortController();
  const response = await fetch(`${api.url}/v1/instances/stream${query}`, { headers, signal: gone.signal });
  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const frames = response.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream()).getReader();
  return {
    async next(): Promise<Shown | undefined> {
      const { value, done } = await frames.read();
      return done ? undefined : JSON.parse(value.data);
    },
    close: () => gone.abort(),
  };
}

describe('instances.stream', () => {
  test('sends every instance as it is, each change of one, a new one, and that one is gone', async () => {
    const [one, two] = [await newInstance(account, 'one'), await newInstance(account, 'two')];
    const stream = await follow();
    expect([await stream.next(), await stream.next()]).toEqual([
      await account.ok('GET', `/instances/${one}`),
      await account.ok('GET', `/instances/${two}`),
    ]);
    await account.ok('PATCH', `/instances/${one}`, { name: 'renamed' });
    expect(await stream.next()).toMatchObject({ instanceId: one, name: 'renamed' });
    const three = await newInstance(account, 'three');
    expect(await stream.next()).toMatchObject({ instanceId: three });
    await account.ok('DELETE', `/instances/${two}`);
    expect(await stream.next()).toMatchObject({ instanceId: two, status: 'destroying' });
    await api.sql('update instances set deleted_at = now() where id = ? returning id', [two]);
    expect(await stream.next()).toEqual({ instanceId: two, deleted: true });
    stream.close();
  });

  test('takes the progress of running time for no change', async () => {
    const owner = await api.newAccount();
    const instanceId = await newInstance(owner);
    await makeRunning(api, instanceId);
    await api.sql(
      `insert into runtime_intervals (id, instance_id, account_id, boot_id, started_at) values (?, ?, ?, ?, now()) returning id`,
      [api.deps.makeId('int'), instanceId, owner.accountId, `boot-of-${instanceId}`],
    );
    const stream = await follow('', { authorization: `Bearer ${owner.token}` });
    const first = await stream.next();
    expect(first).toMatchObject({ status: 'running' });
    // The stream looks once a second, so a change of the time alone would be its next event.
    await eventually(async () => {
      const { totalRuntimeMs } = await owner.ok('GET', `/instances/${instanceId}`);
      expect(totalRuntimeMs).toBeGreaterThan(2_500);
    });
    await owner.ok('PATCH', `/instances/${instanceId}`, { name: 'last' });
    expect(await stream.next()).toMatchObject({ name: 'last' });
    stream.close();
  });

  test('follows one instance to its end', async () => {
    const [followed, other] = [await newInstance(account, 'followed'), await newInstance(account, 'other')];
    const stream = await follow(`?instanceId=${followed}`);
    expect(await stream.next()).toMatchObject({ name: 'followed' });
    await account.ok('PATCH', `/instances/${other}`, { name: 'not seen' });
    await api.sql('update instances set deleted_at = now() where id = ? returning id', [followed]);
    expect([await stream.next(), await stream.next()]).toEqual([{ instanceId: followed, deleted: true }, undefined]);
  });

  test('is 404 for an instance of another account, and shows a key of one instance only that one', async () => {
    const stranger = await api.newAccount();
    const [mine, other] = [await newInstance(account, 'mine'), await newInstance(stranger)];
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'x', instanceId: mine });
    const headers = { 'x-api-key': apiKey };
    const key = createApiClient(api.url, headers);
    expect((await account.call('GET', `/instances/stream?instanceId=${other}`)).status).toBe(404);
    const second = await newInstance(account, 'second');
    expect((await key.call('GET', `/instances/stream?instanceId=${second}`)).status).toBe(404);
    const stream = await follow('', headers);
    expect(await stream.next()).toMatchObject({ name: 'mine' });
    await account.ok('PATCH', `/instances/${second}`, { name: 'not seen' });
    await account.ok('PATCH', `/instances/${mine}`, { name: 'seen' });
    expect(await stream.next()).toMatchObject({ instanceId: mine, name: 'seen' });
    stream.close();
  });
});
