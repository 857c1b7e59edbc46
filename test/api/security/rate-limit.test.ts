import { randomBytes } from 'node:crypto';
import { afterEach, expect, test } from '@jest/globals';
import { addressBlock, createRateLimiter } from '../../../api/security/rate-limit.ts';
import { claimRequests, removeOldWindows } from '../../../database/accounts/rate-windows.ts';
import { operations } from '../../../api/operations/index.ts';
import { createLog } from '../../../lib/log.ts';
import { createApiClient } from '../../support/api-client.ts';
import { startApi } from '../api-under-test.ts';
import type { ApiUnderTest } from '../api-under-test.ts';

let api: ApiUnderTest | undefined;

afterEach(async () => {
  await api?.close();
  api = undefined;
});

const standing = ({ headers }: { headers: Headers }) =>
  ['ratelimit-limit', 'ratelimit-remaining', 'ratelimit-reset'].map((name) => Number(headers.get(name)));

test('every call of an account is counted', () => {
  const uncounted = operations.filter(({ auth, rateLimit }) => auth === 'account' && rateLimit !== 'account');
  expect(uncounted).toEqual([]);
});

test('an account has its requests per minute, says how many are left on each reply, and then answers 429', async () => {
  api = await startApi({ env: { RATE_LIMIT_PER_MINUTE: '30' } });
  const [account, other] = [await api.newAccount(), await api.newAccount()];
  for (let left = 29; left >= 0; left -= 1) {
    const path = left % 2 === 0 ? '/auth/me' : '/instances/inst_nothingnothing00';
    expect(standing(await account.call('GET', path)).slice(0, 2)).toEqual([30, left]);
  }
  const refused = await account.call('GET', '/auth/me');
  const [limit, remaining, reset = 0] = standing(refused);
  expect([refused.status, refused.body.error.code, limit, remaining]).toEqual([429, 'rate_limited', 30, 0]);
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
  expect(reset).toBeGreaterThan(0);
  expect(reset).toBeLessThanOrEqual(60);
  // Before what is wrong with the body, and for this account only.
  expect((await account.call('POST', '/instances', { name: 1 })).status).toBe(429);
  expect((await other.call('GET', '/auth/me')).status).toBe(200);
  api.advance(60_001);
  expect(standing(await account.call('GET', '/auth/me'))[1]).toBe(29);
});

test('register, login and verify share a limit per address; a proxy that is not trusted cannot name another one', async () => {
  api = await startApi({ env: { AUTH_RATE_LIMIT_PER_MINUTE: '10' } });
  const login = (address: string) =>
    api!.nobody.call('POST', '/auth/login', { email: 'a@example.com' }, { headers: { 'x-forwarded-for': address } });
  for (let count = 1; count <= 10; count += 1) expect((await login(`192.0.2.${count}`)).status).toBe(200);
  const refused = await login('192.0.2.99');
  expect([refused.status, refused.headers.get('ratelimit-remaining')]).toEqual([429, '0']);
  expect((await api.nobody.call('POST', '/auth/verify', { email: 'a@example.com', code: '123456' })).status).toBe(429);
  expect((await api.nobody.call('POST', '/auth/register', {})).status).toBe(429);
});

test('behind a trusted proxy each address has a limit of its own, an IPv6 customer one for the whole /64', async () => {
  api = await startApi({ env: { AUTH_RATE_LIMIT_PER_MINUTE: '1', TRUSTED_PROXIES: '127.0.0.1' } });
  const login = async (address: string) =>
    (await api!.nobody.call('POST', '/auth/login', { email: 'a@example.com' }, { headers: { 'x-forwarded-for': address } }))
      .status;
  expect([await login('192.0.2.1'), await login('192.0.2.2'), await login('192.0.2.1')]).toEqual([200, 200, 429]);
  expect([await login('2001:db8::1'), await login('2001:db8::2'), await login('2001:db8:0:1::1')]).toEqual([200, 429, 200]);
  expect(addressBlock('::ffff:192.0.2.1')).toBe('192.0.2.1');
});

test('an address whose credentials were refused too often is 429 before the database is asked, and keeps out nobody who was let in', async () => {
  // Ten times as many refusals as logins.
  api = await startApi({ env: { AUTH_RATE_LIMIT_PER_MINUTE: '2', TRUSTED_PROXIES: '127.0.0.1' } });
  const { url } = api;
  const account = await api.newAccount();
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'mine' });
  const call = (key: string, address = '192.0.2.1') =>
    createApiClient(url, { 'x-api-key': key, 'x-forwarded-for': address }).call('GET', '/auth/me');
  const wrong = () => call(`tc_live_${randomBytes(32).toString('base64url')}`);
  expect((await call(apiKey)).status).toBe(200);
  for (let count = 0; count < 20; count += 1) expect((await wrong()).status).toBe(401);
  await api.orm.em.fork().execute('alter table api_keys rename to away', [], 'run');
  const { status, body, headers } = await wrong();
  await api.orm.em.fork().execute('alter table away rename to api_keys', [], 'run');
  expect([status, body.error.code]).toEqual([429, 'rate_limited']);
  expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await call(apiKey)).status).toBe(200);
  expect((await call(`tc_live_${'x'.repeat(43)}`, '192.0.2.2')).status).toBe(401);
  api.advance(60_001);
  expect((await wrong()).status).toBe(401);
});

test('a credential that has not the form of one is 401 without the database, however often', async () => {
  api = await startApi({ env: { AUTH_RATE_LIMIT_PER_MINUTE: '1' } });
  await api.orm.em.fork().execute('alter table api_keys rename to away', [], 'run');
  for (let count = 0; count < 20; count += 1)
    for (const credential of [{ 'x-api-key': 'tc_live_wrong' }, { authorization: 'Bearer a.b.c' }])
      expect((await createApiClient(api.url, credential).call('GET', '/auth/me')).status).toBe(401);
});

test('processes share a limit exactly, however the requests fall on them, and rarely ask', async () => {
  api = await startApi();
  const { orm, clock } = api.deps;
  let asked = 0;
  const limiter = () =>
    createRateLimiter({
      limit: 600,
      claim: (subject, count, now) => {
        asked += 1;
        return claimRequests(orm.em.fork(), { subject, count, now, windowMs: 60_000 });
      },
      clock,
      log: createLog('api', 'silent'),
    });
  const subject = `account:${randomBytes(4).toString('hex')}`;
  const [one, two] = [limiter(), limiter()];
  let allowed = 0;
  for (let count = 0; count < 700; count += 1) if ((await (count % 3 === 0 ? one : two).take(subject)).isAllowed) allowed += 1;
  expect(allowed).toBe(600);
  expect(asked).toBeLessThan(150);
});

test('a burst on one process is let through up to the limit and not beyond', async () => {
  api = await startApi({ env: { RATE_LIMIT_PER_MINUTE: '50' } });
  const account = await api.newAccount();
  // The first claims with connections that are there: one that waits for too long lets everybody through.
  expect((await account.call('GET', '/auth/me')).status).toBe(200);
  const answers = await Promise.all(Array.from({ length: 79 }, () => account.call('GET', '/auth/me')));
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(49);
  expect(answers.filter(({ status }) => status === 429)).toHaveLength(30);
});

test('while requests cannot be counted they are let through; the count goes on when they can', async () => {
  api = await startApi({ env: { RATE_LIMIT_PER_MINUTE: '5' } });
  const account = await api.newAccount();
  await api.orm.em.fork().execute('alter table rate_windows rename to away', [], 'run');
  for (let count = 0; count < 12; count += 1) expect((await account.call('GET', '/auth/me')).status).toBe(200);
  await api.orm.em.fork().execute('alter table away rename to rate_windows', [], 'run');
  api.advance(1_001);
  const statuses = [];
  for (let count = 0; count < 6; count += 1) statuses.push((await account.call('GET', '/auth/me')).status);
  expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
});

test('windows that are over are removed', async () => {
  api = await startApi();
  const account = await api.newAccount();
  await account.ok('GET', '/auth/me');
  const em = api.orm.em.fork();
  expect(await removeOldWindows(em, { before: new Date(Date.now() - 60_000), limit: 10 })).toBe(0);
  expect(await removeOldWindows(em, { before: new Date(Date.now() + 60_000), limit: 10 })).toBeGreaterThan(0);
});

test('a request without valid credentials has no limit to show', async () => {
  api = await startApi();
  const { status, headers } = await createApiClient(api.url, { 'x-api-key': 'tc_live_wrong' }).call('GET', '/auth/me');
  expect([status, headers.get('ratelimit-limit')]).toEqual([401, null]);
});
