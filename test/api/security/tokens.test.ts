import { createHmac, generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { createTokens } from '../../../api/security/tokens.ts';
import { deriveKey } from '../../../lib/crypto/derive-key.ts';

const [key, older] = [
  { id: 'new', key: Buffer.alloc(32, 1) },
  { id: 'old', key: Buffer.alloc(32, 2) },
];
const now = new Date('2026-01-01T00:00:00.000Z');
const issue = (masterKeys: (typeof key)[]) => createTokens({ masterKeys, clock: () => now, makeId: () => 'tok_x' });
const tokens = issue([key]);
const { token } = tokens.issue({ accountId: 'acc_1', tokenVersion: 3 });
const claims = jwt.decode(token) as jwt.JwtPayload;
const signingKey = deriveKey(key.key, 'jwt');

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** Signed with our own key, whatever the header says. */
const forge = (header: object, payload: object = claims): string => {
  const signed = `${encode(header)}.${encode(payload)}`;
  return `${signed}.${createHmac('sha256', signingKey).update(signed).digest('base64url')}`;
};

test('a token is read back, also after its key is no longer the active one', () => {
  expect(tokens.verify(token)).toEqual({ accountId: 'acc_1', tokenVersion: 3 });
  expect(issue([older, key]).verify(token)).toEqual({ accountId: 'acc_1', tokenVersion: 3 });
  expect(issue([older]).verify(token)).toBeNull();
});

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const FORGED: [what: string, token: string][] = [
  ['no algorithm', `${encode({ alg: 'none', kid: 'new' })}.${encode(claims)}.`],
  ['an algorithm in other letters', forge({ alg: 'hs256', kid: 'new' })],
  ['another HMAC', jwt.sign(claims, signingKey, { algorithm: 'HS512', keyid: 'new' })],
  ['a public key algorithm', jwt.sign(claims, privateKey, { algorithm: 'RS256', keyid: 'new' })],
  ['no key id', forge({ alg: 'HS256' })],
  ['an unknown key id', forge({ alg: 'HS256', kid: 'x' })],
  ['a key id that is a path', forge({ alg: 'HS256', kid: '../../dev/null' })],
  ['a key id of a prototype', forge({ alg: 'HS256', kid: '__proto__' })],
  [
    'a key of its own in the header',
    jwt.sign(claims, 'mine', { header: { alg: 'HS256', kid: 'new', jwk: { kty: 'oct', k: 'bWluZQ' } } as jwt.JwtHeader }),
  ],
  ['the master key itself', jwt.sign(claims, key.key, { keyid: 'new' })],
  ['another issuer', forge({ alg: 'HS256', kid: 'new' }, { ...claims, iss: 'other' })],
  ['another audience', forge({ alg: 'HS256', kid: 'new' }, { ...claims, aud: 'other' })],
  ['no version', forge({ alg: 'HS256', kid: 'new' }, { ...claims, ver: undefined })],
  ['a version that is text', forge({ alg: 'HS256', kid: 'new' }, { ...claims, ver: '3' })],
  ['the past', forge({ alg: 'HS256', kid: 'new' }, { ...claims, exp: now.getTime() / 1000 - 1 })],
  ['nonsense', 'a.b.c'],
  ['a part too many', `${token}.x`],
];

test.each(FORGED)('a token with %s is nobody', (_what, forged) => {
  expect(tokens.verify(forged)).toBeNull();
});
