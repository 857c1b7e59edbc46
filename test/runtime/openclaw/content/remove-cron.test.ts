import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { removeCron } from '../../../../runtime/openclaw/content/crons.ts';
import type { GatewayClient } from '../../../../runtime/openclaw/wire/gateway-client.ts';
import type { GatewayUnderTest } from '../../../support/gateway-under-test.ts';
import { startScripted } from '../../../support/scripted-gateway/start-scripted.ts';
import type { ScriptedControl } from '../../../support/scripted-gateway/scripted-control.ts';

let gateway: GatewayUnderTest;
let control: ScriptedControl;
let client: GatewayClient;

beforeAll(async () => {
  ({ gateway, control } = await startScripted());
  client = await gateway.connect();
});
afterAll(() => gateway.close());

const refuse = (message: string): void =>
  control.misbehave({ kind: 'refuse-call', method: 'cron.remove', code: 'UNAVAILABLE', message }, { times: 1 });

test('a job is removed when the gateway says that only the sessions of its past runs are left', async () => {
  refuse('Cron job job_1 was removed, but session cleanup failed: gateway request timeout for sessions.delete.');
  await expect(removeCron(client, 'job_1')).resolves.toBeUndefined();
});

test('another refusal of a removal is an error', async () => {
  refuse('the store of jobs is busy');
  await expect(removeCron(client, 'job_1')).rejects.toThrow('the store of jobs is busy');
});
