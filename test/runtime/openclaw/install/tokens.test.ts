import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createIdMaker } from '../../../../domain/ids.ts';
import {
  gatewayToken,
  RELAY_TOKENS,
  relayKeys,
  relayToken,
  verifyRelayToken,
} from '../../../../runtime/openclaw/install/tokens.ts';
import type { TokenHolder } from '../../../../runtime/openclaw/install/tokens.ts';

const first = { id: 'a', key: Buffer.alloc(32, 1) };
const second = { id: 'b', key: Buffer.alloc(32, 2) };

const signatureOf = (holder: TokenHolder) => relayToken([first], holder).split('.').at(-1);
const one = { agentId: 'agt_1', epoch: 7 };

test.each([
  [one, /^agt_1\.7\.[\w-]{43}$/],
  [{ agentId: 'agt_1', epoch: null }, /^agt_1\.[\w-]{43}$/],
])('a relay token names its agent and the gateway process that it is for: %j', (holder, form) => {
  const token = relayToken([first], holder);
  expect(token).toMatch(form);
  expect(verifyRelayToken(relayKeys([first]), token)).toEqual(holder);
});

test('relay tokens are known by their form, of any agent and key', () => {
  const makeId = createIdMaker(randomBytes);
  const tokens = [first, second].map((key) =>
    relayToken([key], { agentId: makeId('agt'), epoch: key === first ? null : 12_345 }),
  );
  expect(`a ${tokens.join(' ')}, "${tokens.join('')}"`.replaceAll(RELAY_TOKENS, '*')).toBe('a * *, "**"');
  expect('agt_1 and agt_abcdefghijklmnop.json'.replaceAll(RELAY_TOKENS, '*')).toBe('agt_1 and agt_abcdefghijklmnop.json');
});

test('a token made before a rotation still counts, and new ones are made with the active key', () => {
  expect(verifyRelayToken(relayKeys([second, first]), relayToken([first], one))).toEqual(one);
  expect(relayToken([second, first], one)).toBe(relayToken([second], one));
});

test('a token made with a key that is gone names nobody', () => {
  expect(verifyRelayToken(relayKeys([second]), relayToken([first], one))).toBeNull();
});

test.each([
  ['nothing', ''],
  ['no signature', 'agt_1'],
  ['an empty signature', 'agt_1.'],
  ['no agent', relayToken([first], { agentId: '', epoch: null })],
  ["another agent's signature", `agt_2.7.${signatureOf(one)}`],
  ["another process's signature", `agt_1.8.${signatureOf(one)}`],
  ['a signature for any process', `agt_1.7.${signatureOf({ ...one, epoch: null })}`],
  ['a spelling of the same bytes', `${relayToken([first], one)}=`],
  ['the gateway token as signature', `agt_1.${gatewayToken(first, 'agt_1')}`],
])('%s names nobody', (_, token) => {
  expect(verifyRelayToken(relayKeys([first]), token)).toBeNull();
});

test('each runtime has a gateway token of its own, the same every time', () => {
  expect(gatewayToken(first, 'run_1')).toBe(gatewayToken(first, 'run_1'));
  expect(new Set([gatewayToken(first, 'run_1'), gatewayToken(first, 'run_2'), gatewayToken(second, 'run_1')]).size).toBe(3);
});
