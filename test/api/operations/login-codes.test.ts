import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { findLoginCodes, spendTry, storeLoginCode } from '../../../database/accounts/login-codes.ts';
import { startApi } from '../api-under-test.ts';
import type { ApiUnderTest } from '../api-under-test.ts';

const MINUTE_MS = 60_000;
const HOME = '192.0.2.1';
const ELSEWHERE = '198.51.100.7';

let api: ApiUnderTest;

beforeAll(async () => {
  api = await startApi({ env: { TRUSTED_PROXIES: '127.0.0.1' } });
});

afterAll(() => api.close());

/** Calls from this network address. */
const from = (address: string, path: 'login' | 'verify', body: object) =>
  api.nobody.call('POST', `/auth/${path}`, body, { headers: { 'x-forwarded-for': address } });

/** How many mails the account has had, once this request is done. */
async function ask(address: string, email: string): Promise<number> {
  expect((await from(address, 'login', { email })).status).toBe(200);
  await api.deps.background.idle();
  return api.mailbox.mails.filter((mail) => mail.includes(`To: ${email}`)).length;
}

/** Has a code sent to the address and answers it. */
async function codeFor(address: string, email: string): Promise<string> {
  return api.mailbox.codeFor(email, await ask(address, email));
}

const other = (code: string) => (code === '000000' ? '000001' : '000000');

async function tryTimes(times: number, address: string, email: string, code: string): Promise<void> {
  for (let count = 0; count < times; count += 1) expect((await from(address, 'verify', { email, code })).status).toBe(401);
}

describe('somebody else who knows the address', () => {
  test('asks for codes as often as allowed: the one that the owner was sent stays good for its ten minutes', async () => {
    const { email, accountId } = await api.newAccount();
    const code = await codeFor(HOME, email);
    for (let count = 0; count < 7; count += 1) {
      api.advance(MINUTE_MS + 1_000);
      await ask(ELSEWHERE, email);
    }
    const { status, body } = await from(HOME, 'verify', { email, code });
    expect([status, body.accountId]).toEqual([200, accountId]);
  });

  test('uses up its five mails of the hour: the owner is sent one', async () => {
    const { email } = await api.newAccount();
    const sent = [];
    for (let count = 0; count < 7; count += 1) {
      api.advance(MINUTE_MS + 1_000);
      sent.push(await ask(ELSEWHERE, email));
    }
    expect(sent).toEqual([1, 2, 3, 4, 5, 5, 5]);
    expect(await ask(HOME, email)).toBe(6);
    const code = await api.mailbox.codeFor(email, 6);
    expect((await from(HOME, 'verify', { email, code })).status).toBe(200);
  });

  test('enters wrong codes without end, from many addresses: the owner has three tries left', async () => {
    const { email } = await api.newAccount();
    const code = await codeFor(HOME, email);
    for (let host = 1; host <= 4; host += 1) await tryTimes(3, `198.51.100.${host}`, email, other(code));
    await tryTimes(2, HOME, email, other(code));
    expect((await from(HOME, 'verify', { email, code })).status).toBe(200);
  });

  test('has two tries of a code in all, also with the right one, and five of its own', async () => {
    const { email } = await api.newAccount();
    const code = await codeFor(HOME, email);
    await tryTimes(2, ELSEWHERE, email, other(code));
    await tryTimes(1, '198.51.100.8', email, code);
    const own = await codeFor(ELSEWHERE, email);
    await tryTimes(5, ELSEWHERE, email, other(own));
    await tryTimes(1, ELSEWHERE, email, own);
    await tryTimes(1, HOME, email, own);
    expect((await from(HOME, 'verify', { email, code })).status).toBe(200);
  });

  test('with many addresses causes ten mails an hour, and an owner who has logged in before is still sent five', async () => {
    const { email } = await api.newAccount();
    expect((await from(HOME, 'verify', { email, code: await codeFor(HOME, email) })).status).toBe(200);
    api.advance(2 * MINUTE_MS);
    const flood = Array.from({ length: 15 }, (_, host) => from(`198.51.100.${host}`, 'login', { email }));
    expect((await Promise.all(flood)).map(({ status }) => status)).toEqual(Array(15).fill(200));
    await api.deps.background.idle();
    expect(await ask('203.0.113.1', email)).toBe(11);
    for (const count of [12, 13, 14, 15, 15]) {
      expect(await ask(HOME, email)).toBe(count);
      api.advance(MINUTE_MS + 1_000);
    }
    api.advance(60 * MINUTE_MS);
    expect(await ask('203.0.113.1', email)).toBe(16);
  });
});

test('a code may be entered from another address than it was asked for from, and once only', async () => {
  const { email } = await api.newAccount();
  const code = await codeFor('2001:db8::1', email);
  expect((await from('2001:db8::2', 'verify', { email, code: other(code) })).status).toBe(401);
  expect((await from(HOME, 'verify', { email, code })).status).toBe(200);
  await tryTimes(1, HOME, email, code);
  await tryTimes(1, '2001:db8::1', email, code);
});

test('of codes that were sent to two addresses each is good at either, and a login uses up both', async () => {
  const { email } = await api.newAccount();
  const older = await codeFor('2001:db8::1', email);
  const newer = await api.mailbox.codeFor(email, await ask(HOME, email));
  expect((await from('2001:db8::1', 'verify', { email, code: newer })).status).toBe(200);
  await tryTimes(1, '2001:db8::1', email, older);
  await tryTimes(1, HOME, email, newer);
});

test('an account keeps the requesters of the last hour, and of known ones the twenty of the last logins within 90 days', async () => {
  const { email, accountId } = await api.newAccount();
  const day = 24 * 60 * MINUTE_MS;
  const now = api.deps.clock().getTime();
  const logIn = async (requester: string, at: Date) =>
    api.orm.em.fork().transactional(async (em) => {
      expect(await storeLoginCode(em, { accountId, requester, codeHash: requester, now: at })).toBe(true);
      expect((await findLoginCodes(em, { account: { email }, requester, now: at }))?.codeHashes).toEqual([requester]);
      const given = { accountId, requester, codeHashes: [requester], matched: requester, now: at };
      expect(await spendTry(em, given)).toBe(true);
    });
  for (let count = 0; count < 25; count += 1) await logIn(`known-${count}`, new Date(now + count * day));
  const kept = async () => {
    const rows = await api.sql<{ requester: string }>('select requester from requester_login_codes where account_id = ?', [
      accountId,
    ]);
    return rows.map(({ requester }) => requester);
  };
  expect(await kept()).toHaveLength(21);
  await logIn('late', new Date(now + 110 * day));
  expect((await kept()).toSorted()).toEqual(['known-21', 'known-22', 'known-23', 'known-24', 'late']);
});
