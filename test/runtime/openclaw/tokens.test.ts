import { randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createIdMaker } from '../../../domain/ids.ts';
import { gatewayToken, RELAY_TOKENS, relayToken, verifyRelayToken } from '../../../runtime/openclaw/tokens.ts';

const first = { id: 'a', key: Buffer.alloc(32, 1) };
const second = { id: 'b', key: Buffer.alloc(32, 2) };

test('a relay token names its agent', () => {
  const token = relayToken([first], 'agt_1');
  expect(token).toMatch(/^agt_1\.[\w-]{43}$/);
  expect(verifyRelayToken([first], token)).toBe('agt_1');
});

test('relay tokens are known by their form, of any agent and key', () => {
  const makeId = createIdMaker(randomBytes);
  const tokens = [first, second].map((key) => relayToken([key], makeId('agt')));
  expect(`a ${tokens.join(' ')}, "${tokens.join('')}"`.replaceAll(RELAY_TOKENS, '*')).toBe('a * *, "**"');
  expect('agt_1 and agt_abcdefghijklmnop.json'.replaceAll(RELAY_TOKENS, '*')).toBe('agt_1 and agt_abcdefghijklmnop.json');
});

test('a token made before a rotation still counts, and new ones are made with the active key', () => {
  expect(verifyRelayToken([second, first], relayToken([first], 'agt_1'))).toBe('agt_1');
  expect(relayToken([second, first], 'agt_1')).toBe(relayToken([second], 'agt_1'));
});

test('a token made with a key that is gone names nobody', () => {
  expect(verifyRelayToken([second], relayToken([first], 'agt_1'))).toBeNull();
});

test.each([
  ['nothing', ''],
  ['no signature', 'agt_1'],
  ['an empty signature', 'agt_1.'],
  ['no agent', relayToken([first], '')],
  ["another agent's signature", `agt_2.${relayToken([first], 'agt_1').split('.')[1]}`],
  ['a spelling of the same bytes', `${relayToken([first], 'agt_1')}=`],
  ['the gateway token as signature', `agt_1.${gatewayToken(first, 'agt_1')}`],
])('%s names nobody', (_, token) => {
  expect(verifyRelayToken([first], token)).toBeNull();
});

test('each runtime has a gateway token of its own, the same every time', () => {
  expect(gatewayToken(first, 'run_1')).toBe(gatewayToken(first, 'run_1'));
  expect(new Set([gatewayToken(first, 'run_1'), gatewayToken(first, 'run_2'), gatewayToken(second, 'run_1')]).size).toBe(3);
});
