import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';
import { newInstance } from '../rows.ts';

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi({ env: { MAX_INSTANCES_PER_ACCOUNT: '100' } });
  account = await api.newAccount();
});

afterAll(() => api.close());

const get = (instanceId: string) => account.ok('GET', `/instances/${instanceId}`);

describe('instances.list by metadata', () => {
  test('answers the instances that have all of the given pairs, and keeps the cursor', async () => {
    const owner = await api.newAccount();
    const make = (metadata: object) => owner.ok('POST', '/instances', { name: 'x', metadata });
    const one = await make({ team: 'a', 'env[x]': 'p & q' });
    const two = await make({ team: 'a', 'env[x]': 'other' });
    const both = new Set([one.instanceId, two.instanceId]);
    await make({ team: 'b' });
    const idsOf = async (query: string) =>
      z
        .object({ instances: z.array(z.object({ instanceId: z.string() })) })
        .parse(await owner.ok('GET', `/instances?${query}`))
        .instances.map(({ instanceId }) => instanceId);
    expect(new Set(await idsOf('metadata[team]=a'))).toEqual(both);
    expect(await idsOf('metadata%5Bteam%5D=a&metadata%5Benv%5Bx%5D%5D=p%20%26%20q')).toEqual([one.instanceId]);
    expect(await idsOf('metadata[team]=none')).toEqual([]);
    const { instances, nextCursor } = await owner.ok('GET', '/instances?metadata[team]=a&limit=1');
    const rest = await idsOf(`metadata[team]=a&cursor=${nextCursor}`);
    expect(new Set([instances[0].instanceId, ...rest])).toEqual(both);
  });

  test.each([
    'metadata=a',
    'metadata[]=a',
    `metadata[${'k'.repeat(41)}]=a`,
    `metadata[k]=${'v'.repeat(501)}`,
    'metadata[k]=a&metadata[k]=b',
    'metadata[k]=%00',
    'metadata[%ff]=a',
  ])('refuses %s', async (query) => {
    const { status, body } = await account.call('GET', `/instances?${query}`);
    expect([status, body.error.details[0].path]).toEqual([400, expect.stringMatching(/^metadata/)]);
  });
});

describe('instances.update', () => {
  const pairs = (count: number, value: string | null = 'x') =>
    Object.fromEntries(Array.from({ length: count }, (_none, index) => [`key-${index}`, value]));

  test('gives it another name and leaves everything else as it is', async () => {
    const { instanceId } = await account.ok('POST', '/instances', { name: 'before', metadata: { customer: 'cus_1' } });
    const before = await get(instanceId);
    expect(before).toMatchObject({ name: 'before', metadata: { customer: 'cus_1' } });
    const { body, status } = await account.call('PATCH', `/instances/${instanceId}`, { name: ' after ' });
    expect([status, body]).toEqual([200, { ...before, name: 'after' }]);
    expect(await get(instanceId)).toEqual(body);
  });

  test('merges pairs one by one, also those of changes at once; null removes one', async () => {
    const { instanceId } = await account.ok('POST', '/instances', {
      name: 'x',
      metadata: { kept: '1', gone: '2', changed: '3' },
    });
    const change = (metadata: object) => account.ok('PATCH', `/instances/${instanceId}`, { metadata });
    await Promise.all([change({ gone: null, never: null }), change({ changed: '4' }), change({ 'new "pair"': '' })]);
    expect((await get(instanceId)).metadata).toEqual({ kept: '1', changed: '4', 'new "pair"': '' });
  });

  test('takes 16 pairs of at most 40 and 500 characters, and refuses more without changing anything', async () => {
    const { instanceId } = await account.ok('POST', '/instances', { name: 'x', metadata: pairs(16) });
    const change = (body: object) => account.call('PATCH', `/instances/${instanceId}`, body);
    const { status, body } = await change({ name: 'changed', metadata: { one: 'more' } });
    expect([status, body.error.details[0].path]).toEqual([400, 'metadata']);
    expect(await get(instanceId)).toMatchObject({ name: 'x', metadata: pairs(16) });
    const longest = { ...pairs(1, null), ['k'.repeat(40)]: 'v'.repeat(500) };
    expect((await change({ metadata: longest })).status).toBe(200);
    for (const metadata of [pairs(17), { ['k'.repeat(41)]: 'v' }, { '': 'v' }, { k: 'v'.repeat(501) }, { k: 1 }, [], 'x']) {
      expect((await change({ metadata })).status).toBe(400);
      expect((await account.call('POST', '/instances', { name: 'x', metadata })).status).toBe(400);
    }
  });
});

describe('agents.update of metadata', () => {
  test('merges pairs of metadata without a change in the gateway', async () => {
    const instanceId = await newInstance(account);
    const agent = { name: 'support', slug: 'with-metadata', displayName: 'Support', metadata: { team: 'a', gone: 'b' } };
    const { agentId, metadata } = await account.ok('POST', `/instances/${instanceId}/agents`, agent);
    expect(metadata).toEqual({ team: 'a', gone: 'b' });
    const content = () => api.sql('select content_generation from instances where id = ?', [instanceId]);
    const before = await content();
    const path = `/instances/${instanceId}/agents/${agentId}`;
    expect(await account.ok('PATCH', path, { metadata: { gone: null, more: 'c' } })).toMatchObject({
      metadata: { team: 'a', more: 'c' },
    });
    expect((await account.ok('GET', path)).metadata).toEqual({ team: 'a', more: 'c' });
    expect(await content()).toEqual(before);
    const many = Object.fromEntries(Array.from({ length: 15 }, (_none, index) => [`key-${index}`, 'x']));
    expect((await account.call('PATCH', path, { metadata: many })).status).toBe(400);
  });
});
