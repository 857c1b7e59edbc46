import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ApiClient } from '../support/api-client.ts';
import { campaignRounds, createDice } from '../support/campaign.ts';
import { TEST_LIMIT_MS } from '../support/eventually.ts';
import { insist, newAgent } from '../support/patient-client.ts';
import { controlScripted, countAnswers } from '../support/scripted-gateway/scripted-control.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

/** About as long as the turn takes that is killed in. */
const KILL_WITHIN_MS = 600;

let openClaw: StandIn;
let stack: StackUnderTest;
let account: ApiClient & { accountId: string };
let path: string;

beforeAll(async () => {
  openClaw = await installScriptedOpenClaw();
  stack = await startStack({ openClaw });
  account = await stack.newAccount();
  const { instanceId } = await account.ok('POST', '/instances', { name: 'kills' });
  ({ path } = await newAgent(account, instanceId));
});
afterAll(async () => {
  await stack?.close();
  await openClaw?.remove();
});

/** How often its gateway has answered this turn. */
async function answersTo(messageId: string): Promise<number> {
  const [runtime] = await stack.driver.list();
  if (!runtime) throw new Error('No gateway was started');
  return countAnswers(controlScripted(stack.driver.paths(runtime.runtimeId).stateDir), messageId);
}

interface Call {
  path: string;
  body: object;
  key: string;
}

const send = ({ path: where, body, key }: Call) => account.call('POST', where, body, { headers: { 'idempotency-key': key } });
const repeat = (call: Call) => insist(account, { method: 'POST', ...call });

test(
  'whenever the API is killed, a repeated message has the same id and ran once, and a repeated key was made once',
  async () => {
    const dice = createDice('idempotency kills');
    for (let round = 1; round <= campaignRounds(); round += 1) {
      const text = `round ${round} of ${dice.seed}`;
      const message: Call = { path, body: { message: `${text} [[WORDS 8]] [[DELAY 40]]` }, key: `message-${round}` };
      const newKey: Call = { path: '/auth/keys', body: { name: text }, key: `key-${round}` };
      const first = [message, newKey].map((call) => send(call).catch(() => null));
      await new Promise((resolve) => setTimeout(resolve, dice.below(KILL_WITHIN_MS)));
      await stack.kill('api');
      const [answered, made] = await Promise.all(first);
      await stack.start('api');

      const [again, remade] = await Promise.all([repeat(message), repeat(newKey)]);
      // Where the first answer arrived, the second is the same.
      expect(again.body).toEqual(answered?.status === 200 ? answered.body : again.body);
      expect(remade.body).toEqual(made?.status === 201 ? made.body : remade.body);
      const third = await send(message);
      expect([third.headers.get('idempotent-replayed'), third.body]).toEqual(['true', again.body]);
      expect(again.body).toMatchObject({ status: 'completed', content: 'w1 w2 w3 w4 w5 w6 w7 w8' });

      const { messages } = await account.ok('GET', `${path}?limit=200`);
      const [said, ...others] = messages.filter(({ content }: { content: string }) => content.includes(text));
      expect(others).toEqual([]);
      expect(said.messageId).toBe(again.body.requestMessageId);
      expect(await answersTo(again.body.messageId)).toBe(1);
      const { keys } = await account.ok('GET', '/auth/keys?limit=200');
      expect(keys.filter(({ name }: { name: string }) => name === text)).toHaveLength(1);
    }
  },
  TEST_LIMIT_MS * campaignRounds(),
);
