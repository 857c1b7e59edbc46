import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { GatewayBrokenError, GatewayRequestError } from '../../../../runtime/gateway/gateway-errors.ts';
import type { GatewayClient } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import { proveTurns } from '../../../../runtime/openclaw/conversation/turn-proof.ts';
import type { GatewayUnderTest } from '../../../support/gateway-program.ts';
import { startScripted } from '../../../support/scripted-gateway/start-scripted.ts';
import type { ScriptedControl } from '../../../support/scripted-gateway/scripted-control.ts';

let gateway: GatewayUnderTest;
let control: ScriptedControl;
let client: GatewayClient;

beforeAll(async () => {
  ({ gateway, control } = await startScripted());
});
afterAll(() => gateway.close());
beforeEach(async () => {
  control.behave();
  client = await gateway.connect();
});

const never = new AbortController().signal;
const refuse = (message: string, method = 'sessions.groups.rename', code = 'UNAVAILABLE') =>
  control.misbehave({ kind: 'refuse-call', method, code, message });

test('a gateway that takes the proof takes turns', async () => {
  await expect(proveTurns(client, never)).resolves.toBeUndefined();
});

test.each([
  'Agent database cleanup failed',
  'another OpenClaw process owns state-lifecycle',
  'OpenClaw state database /s is quarantined after integrity verification failed',
])('one that refuses the proof with %j would refuse turns', async (message) => {
  refuse(message);
  await expect(proveTurns(client, never)).rejects.toThrow(GatewayBrokenError);
});

test.each([
  ['the group is unknown', 'INVALID_REQUEST', 'unknown group "proof-a"'],
  ['its disk is full, of which its turns will tell', 'UNAVAILABLE', 'database or disk is full'],
  ['one agent cannot be read, of which its turns will tell', 'UNAVAILABLE', 'agent-database-inspection-failed'],
])('that %s proves nothing against turns', async (_, code, message) => {
  refuse(message, 'sessions.groups.rename', code);
  refuse(message, 'sessions.groups.put', code);
  await expect(proveTurns(client, never)).resolves.toBeUndefined();
});

test('a connection that is gone is no proof of anything', async () => {
  client.close();
  await client.closed;
  await expect(proveTurns(client, never)).rejects.toThrow(GatewayRequestError);
});

test('whoever does not want to wait any more need not', async () => {
  await expect(proveTurns(client, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});
