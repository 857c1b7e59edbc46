import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createApiClient } from '../../support/api-client.ts';
import { startApi } from '../api-under-test.ts';
import type { AccountClient, ApiUnderTest } from '../api-under-test.ts';

const MINUTE_MS = 60_000;

let api: ApiUnderTest;
let account: AccountClient;

beforeAll(async () => {
  api = await startApi();
  account = await api.newAccount();
});

afterAll(() => api.close());

async function register(body: object) {
  return api.nobody.call('POST', '/auth/register', { name: 'Jeff', ...body });
}

/** Logs in by mail, as many mails to this address as there are by then. */
async function logIn(email: string, mailCount = 1) {
  await api.nobody.ok('POST', '/auth/login', { email });
  const code = await api.mailbox.codeFor(email, mailCount);
  return api.nobody.call('POST', '/auth/verify', { email, code });
}

const me = (token: string) => createApiClient(api.url, { authorization: `Bearer ${token}` }).call('GET', '/auth/me');

describe('auth.register', () => {
  test('makes an account with the sign-up credit and answers a token that works', async () => {
    const answer = await register({ email: ' New@Example.com ', inviteCode: await api.invite() });
    expect(answer.status).toBe(201);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toMatchObject({
      accountId: expect.stringMatching(/^acc_[a-z0-9]{12,}$/),
      email: 'new@example.com',
      name: 'Jeff',
    });
    const { body } = await me(answer.body.token);
    expect(body).toEqual({
      accountId: answer.body.accountId,
      email: 'new@example.com',
      name: 'Jeff',
      emailVerified: false,
      operator: false,
      balanceUsd: 50,
      balanceNanoUsd: '50000000000',
      storedBytes: 0,
      maxStoredBytes: 10_240 * 1024 ** 2,
    });
    const lines = await api.sql('select kind, from_book, to_book, dedupe_key from transfers where account_id = ?', [
      answer.body.accountId,
    ]);
    expect(lines).toEqual([
      { kind: 'credit', from_book: 'credits', to_book: 'customer', dedupe_key: `sign-up:${answer.body.accountId}` },
    ]);
  });

  test('takes an address in another script, which is one account with the ASCII form of its domain', async () => {
    const ascii = 'jeff@xn--bcher-kva.xn--fiqs8s';
    const typed = ['jeff@B\u00dcCHER.\u4e2d\u56fd', 'jeff@bu\u0308cher\u3002\u4e2d\u56fd', 'JEFF@xn--bcher-kva.XN--FIQS8S'];
    const inviteCode = await api.invite({ uses: 5 });
    const { status, body } = await register({ email: typed[0], inviteCode });
    expect([status, body.email]).toEqual([201, ascii]);
    for (const email of typed.slice(1)) expect((await register({ email, inviteCode })).status).toBe(409);
    await api.nobody.ok('POST', '/auth/login', { email: typed[1] });
    const code = await api.mailbox.codeFor(ascii);
    expect((await api.nobody.ok('POST', '/auth/verify', { email: typed[0], code })).accountId).toBe(body.accountId);
    const { accounts } = await api.operator.ok('GET', `/admin/accounts?email=${encodeURIComponent(typed[1] ?? '')}`);
    expect(accounts).toMatchObject([{ accountId: body.accountId, email: ascii }]);
    const bound = await api.invite({ email: 'other@b\u00fccher.example' });
    expect((await register({ email: 'other@xn--bcher-kva.example', inviteCode: bound })).status).toBe(201);
  });

  test('refuses an address whose domain cannot be one, without making another one of it', async () => {
    const inviteCode = await api.invite();
    for (const email of [
      'a@b\u00fccher.example/evil.example',
      'a@b\u00fccher.example#x',
      'a@b\u00fccher.example:25',
      'a@b\u00fccher.example?',
      'a@b\u00fcch er.example',
      'a@b\u00fccher.example\uff0fx',
      'a@\u00fc',
      'a@\uff11.\uff11',
      'a@\u00fc@example.com',
      'j\u00fcrgen@example.com',
      `a@${'\u00fc'.repeat(64)}.example`,
      `a@${'\u00fc.'.repeat(40)}example`,
    ]) {
      const { status, body } = await register({ email, inviteCode });
      expect([email, status, body.error?.details?.[0]?.path]).toEqual([email, 400, 'email']);
    }
  });

  test("gives the invite's credit instead, none when that is zero", async () => {
    const rich = await api.newAccount({ creditUsd: '75.000000001' });
    expect(await rich.ok('GET', '/auth/me')).toMatchObject({ balanceUsd: 75, balanceNanoUsd: '75000000001' });
    const poor = await api.newAccount({ creditUsd: '0' });
    expect(await poor.ok('GET', '/auth/me')).toMatchObject({ balanceUsd: 0, balanceNanoUsd: '0' });
    expect(await api.sql('select id from transfers where account_id = ?', [poor.accountId])).toEqual([]);
  });

  test('refuses an invite that is unknown, used up, expired or for another address, which is not used up by it', async () => {
    const once = await api.invite();
    expect((await register({ email: 'first@example.com', inviteCode: once })).status).toBe(201);
    const bound = await api.invite({ email: 'bound@example.com' });
    const expiring = await api.invite({ expiresAt: new Date(api.deps.clock().getTime() + MINUTE_MS).toISOString() });
    api.advance(2 * MINUTE_MS);
    for (const inviteCode of [once, bound, expiring, 'nothing']) {
      const { status, body } = await register({ email: 'second@example.com', inviteCode });
      expect([status, body.error.code]).toEqual([403, 'invite_required']);
    }
    expect((await register({ email: 'bound@example.com', inviteCode: bound })).status).toBe(201);
  });

  test('refuses a taken address only behind a valid invite, and keeps the invite', async () => {
    const inviteCode = await api.invite();
    expect((await register({ email: account.email, inviteCode: 'nothing' })).status).toBe(403);
    const { status, body } = await register({ email: account.email.toUpperCase(), inviteCode });
    expect([status, body.error.code]).toEqual([409, 'conflict']);
    expect((await register({ email: 'still-free@example.com', inviteCode })).status).toBe(201);
  });

  test('lets only as many register at once as the invite has uses', async () => {
    const inviteCode = await api.invite({ uses: 2 });
    const answers = await Promise.all(
      [1, 2, 3, 4].map((number) => register({ email: `race-${number}@example.com`, inviteCode })),
    );
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([201, 201, 403, 403]);
  });

  test('proves the address at once when the invite was bound to it', async () => {
    const inviteCode = await api.invite({ email: 'proven@example.com' });
    const { body } = await register({ email: 'proven@example.com', inviteCode });
    expect((await me(body.token)).body.emailVerified).toBe(true);
  });
});

describe('auth.login', () => {
  test('answers the same for an address without account, and mails nothing', async () => {
    const answer = await api.nobody.call('POST', '/auth/login', { email: 'unknown@example.com' });
    expect([answer.status, answer.body]).toEqual([200, { message: 'OTP sent to email' }]);
    await api.deps.background.idle();
    expect(api.mailbox.mails.some((mail) => mail.includes('unknown@example.com'))).toBe(false);
  });

  test('mails one code a minute and five an hour at most', async () => {
    const { email } = await api.newAccount();
    const count = async () => {
      await api.nobody.ok('POST', '/auth/login', { email });
      await api.deps.background.idle();
      return api.mailbox.mails.filter((mail) => mail.includes(`To: ${email}`)).length;
    };
    expect([await count(), await count()]).toEqual([1, 1]);
    for (const sent of [2, 3, 4, 5, 5]) {
      api.advance(MINUTE_MS + 1_000);
      expect(await count()).toBe(sent);
    }
    api.advance(60 * MINUTE_MS);
    expect(await count()).toBe(6);
  });
});

describe('auth.verify', () => {
  test('exchanges the code for a token, once', async () => {
    const { email, accountId } = await api.newAccount();
    const { status, body, headers } = await logIn(email);
    expect([status, body.accountId]).toEqual([200, accountId]);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body.revoked).toBeUndefined();
    expect((await me(body.token)).body.emailVerified).toBe(true);
    const code = await api.mailbox.codeFor(email);
    expect((await api.nobody.call('POST', '/auth/verify', { email, code })).status).toBe(401);
  });

  test('refuses a wrong code with one message for all, and the right one after five tries', async () => {
    const { email } = await api.newAccount();
    await api.nobody.ok('POST', '/auth/login', { email });
    const code = await api.mailbox.codeFor(email);
    const wrong = code === '000000' ? '000001' : '000000';
    const messages = new Set<string>();
    for (let tries = 0; tries < 5; tries += 1) {
      const { status, body } = await api.nobody.call('POST', '/auth/verify', { email, code: wrong });
      expect(status).toBe(401);
      messages.add(body.error.message);
    }
    const { status, body } = await api.nobody.call('POST', '/auth/verify', { email, code });
    expect(status).toBe(401);
    messages.add(body.error.message);
    messages.add((await api.nobody.call('POST', '/auth/verify', { email: 'unknown@example.com', code })).body.error.message);
    expect(messages.size).toBe(1);
  });

  test('refuses a code after ten minutes, an older one after a newer, and what is no code', async () => {
    const { email } = await api.newAccount();
    await api.nobody.ok('POST', '/auth/login', { email });
    const first = await api.mailbox.codeFor(email);
    api.advance(2 * MINUTE_MS);
    await api.nobody.ok('POST', '/auth/login', { email });
    const second = await api.mailbox.codeFor(email, 2);
    expect((await api.nobody.call('POST', '/auth/verify', { email, code: first })).status).toBe(401);
    api.advance(10 * MINUTE_MS);
    expect((await api.nobody.call('POST', '/auth/verify', { email, code: second })).status).toBe(401);
    expect((await api.nobody.call('POST', '/auth/verify', { email, code: '12345' })).status).toBe(400);
  });

  test('changes nothing for a client that registered, made a key and logs in later', async () => {
    const first = await api.newAccount();
    const { apiKey } = await first.ok('POST', '/auth/keys', { name: 'x' });
    expect((await logIn(first.email)).status).toBe(200);
    expect((await me(first.token)).status).toBe(200);
    expect((await createApiClient(api.url, { 'x-api-key': apiKey }).call('GET', '/auth/me')).status).toBe(200);
  });

  test('gives the account to the owner of an address that somebody else had registered', async () => {
    const squatter = await api.newAccount({ email: 'mine@example.com' });
    const { apiKey } = await squatter.ok('POST', '/auth/keys', { name: 'x' });
    expect((await register({ email: 'mine@example.com', inviteCode: await api.invite() })).status).toBe(409);
    expect((await me(squatter.token)).status).toBe(200);

    const { body } = await logIn('mine@example.com');
    expect(body).toMatchObject({ accountId: squatter.accountId, revoked: 2 });
    expect((await me(body.token)).status).toBe(200);
    expect((await me(squatter.token)).status).toBe(401);
    expect((await createApiClient(api.url, { 'x-api-key': apiKey }).call('GET', '/auth/me')).status).toBe(401);

    api.advance(2 * MINUTE_MS);
    expect((await register({ email: 'mine@example.com', inviteCode: await api.invite() })).status).toBe(409);
    expect((await logIn('mine@example.com', 2)).body.revoked).toBeUndefined();
    expect((await me(body.token)).status).toBe(200);
  });

  test('takes nothing from an account that a bound invite has made', async () => {
    const inviteCode = await api.invite({ email: 'bound-first@example.com' });
    const first = (await register({ email: 'bound-first@example.com', inviteCode })).body;
    expect((await register({ email: 'bound-first@example.com', inviteCode: await api.invite() })).status).toBe(409);
    expect((await logIn('bound-first@example.com')).body.revoked).toBeUndefined();
    expect((await me(first.token)).status).toBe(200);
  });
});

describe('auth.me', () => {
  test('rounds the balance down to cents', async () => {
    const { ok } = await api.newAccount({ creditUsd: '1.239999999' });
    expect(await ok('GET', '/auth/me')).toMatchObject({ balanceUsd: 1.23, balanceNanoUsd: '1239999999' });
  });

  test('refuses a token after its day, one of another key, and one that was altered', async () => {
    const { token } = await api.newAccount();
    const [head, payload, signature = ''] = token.split('.');
    const altered = `${head}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`;
    expect((await me(altered)).status).toBe(401);
    expect((await me(`${head}.${payload}.`)).status).toBe(401);
    expect((await me(token)).status).toBe(200);
    api.advance(24 * 60 * MINUTE_MS + 1_000);
    expect((await me(token)).status).toBe(401);
    account = await api.newAccount();
  });
});

describe('auth.logout', () => {
  test('voids every token of the account, and no key', async () => {
    const client = await api.newAccount();
    const { apiKey } = await client.ok('POST', '/auth/keys', { name: 'x' });
    await client.ok('POST', '/auth/logout');
    expect((await client.call('GET', '/auth/me')).status).toBe(401);
    expect((await createApiClient(api.url, { 'x-api-key': apiKey }).call('GET', '/auth/me')).status).toBe(200);
  });
});

describe('keys.create', () => {
  test('shows the key once and stores only its hash', async () => {
    const { status, body, headers } = await account.call('POST', '/auth/keys', { name: ' my-key ' });
    expect(status).toBe(201);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(body).toMatchObject({
      keyId: expect.stringMatching(/^key_/),
      name: 'my-key',
      apiKey: expect.stringMatching(/^tc_live_.{43}$/),
    });
    const [row] = await api.sql<Record<string, unknown>>('select * from api_keys where id = ?', [body.keyId]);
    expect(JSON.stringify(row)).not.toContain(body.apiKey.slice(8, 30));
  });

  test('makes a key that works until it expires', async () => {
    const expiresAt = new Date(api.deps.clock().getTime() + MINUTE_MS).toISOString();
    const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'x', expiresAt });
    const client = createApiClient(api.url, { 'x-api-key': apiKey });
    expect((await client.call('GET', '/auth/me')).status).toBe(200);
    api.advance(2 * MINUTE_MS);
    expect((await client.call('GET', '/auth/me')).status).toBe(401);
    expect((await account.call('POST', '/auth/keys', { name: 'x', expiresAt })).status).toBe(400);
  });
});

describe('keys.create by a key that expires', () => {
  test('makes none that lasts longer, and one that lasts as long when nothing is said', async () => {
    const client = await api.newAccount();
    const at = (ms: number) => new Date(api.deps.clock().getTime() + ms).toISOString();
    const [sooner, expiresAt, later] = [at(MINUTE_MS), at(2 * MINUTE_MS), at(3 * MINUTE_MS)];
    const { apiKey } = await client.ok('POST', '/auth/keys', { name: 'x', expiresAt });
    const byKey = createApiClient(api.url, { 'x-api-key': apiKey });
    const { status, body } = await byKey.call('POST', '/auth/keys', { name: 'y', expiresAt: later });
    expect([status, body.error.code]).toEqual([403, 'forbidden']);
    expect(await byKey.ok('POST', '/auth/keys', { name: 'y', expiresAt: sooner })).toMatchObject({ expiresAt: sooner });
    expect(await byKey.ok('POST', '/auth/keys', { name: 'y' })).toMatchObject({ expiresAt });
    expect(await client.ok('POST', '/auth/keys', { name: 'y' })).toMatchObject({ expiresAt: null });
  });
});

describe('keys.list', () => {
  test('lists the newest first, page by page, without secrets', async () => {
    const client = await api.newAccount();
    const keys = [];
    for (const name of ['a', 'b', 'c']) keys.push(await client.ok('POST', '/auth/keys', { name }));
    const first = await client.ok('GET', '/auth/keys?limit=2');
    const second = await client.ok('GET', `/auth/keys?limit=2&cursor=${first.nextCursor}`);
    expect([...first.keys, ...second.keys].map(({ name }) => String(name)).toSorted()).toEqual(['a', 'b', 'c']);
    expect(second.nextCursor).toBeNull();
    expect(Object.keys(first.keys[0]).toSorted()).toEqual([
      'createdAt',
      'expiresAt',
      'instanceId',
      'keyId',
      'last4',
      'lastUsedAt',
      'name',
      'prefix',
      'scopes',
    ]);
    for (const { apiKey } of keys) expect(JSON.stringify([first, second])).not.toContain(apiKey);
  });

  test("refuses another list's cursor", async () => {
    const cursor = Buffer.from(JSON.stringify(['invites', [1, 'x']])).toString('base64url');
    expect((await account.call('GET', `/auth/keys?cursor=${cursor}`)).status).toBe(400);
    expect((await account.call('GET', '/auth/keys?limit=0')).status).toBe(400);
    expect((await account.call('GET', '/auth/keys?limit=100000')).status).toBe(200);
  });
});

describe('keys.revoke', () => {
  test('ends a key at once', async () => {
    const { keyId, apiKey } = await account.ok('POST', '/auth/keys', { name: 'x' });
    const client = createApiClient(api.url, { 'x-api-key': apiKey });
    expect((await client.call('GET', '/auth/me')).status).toBe(200);
    expect(await client.ok('DELETE', `/auth/keys/${keyId}`)).toEqual({ keyId, deleted: true });
    expect((await client.call('GET', '/auth/me')).status).toBe(401);
    expect((await account.call('DELETE', `/auth/keys/${keyId}`)).status).toBe(404);
  });
});
