import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { z } from 'zod';
import { addCron, runCron } from '../../../runtime/openclaw/content/crons.ts';
import type { GatewayClient } from '../../../runtime/openclaw/wire/gateway-client.ts';
import { AGENT, borrowGateway } from '../../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../../support/gateway-under-test.ts';
import { send, turnOf } from './turns-under-test.ts';
import { TEST_LIMIT_MS } from '../../support/eventually.ts';

/** Every command of a release in one conversation, a turn each. */
jest.setTimeout(2 * TEST_LIMIT_MS);

const SKILL = '---\nname: tides\ndescription: Tells the tides.\n---\nThe tide is high.\n';
/** What a release obeys, or obeyed once, without listing it as a command. */
const UNLISTED = ['/new', ' /NEW again', '/reset', '/reset\nand go on', '/skill:tides now', '!ls', `@${AGENT} /new`];

const commandList = z.looseObject({
  commands: z.array(z.looseObject({ name: z.string(), textAliases: z.array(z.string()).optional() })).min(20),
});

let gateway: GatewayUnderTest;
let client: GatewayClient;

beforeAll(async () => {
  gateway = await borrowGateway();
  client = await gateway.connect();
  const skill = new Map([['tides/SKILL.md', { content: Buffer.from(SKILL), executable: false }]]);
  await gateway.setSkills({ bundled: [], custom: skill });
});
afterAll(() => gateway?.close());

/** All that the installed release takes for a command in a chat, as one would type it. */
async function commands(): Promise<string[]> {
  const listed = commandList.parse(await client.request('commands.list', { agentId: AGENT })).commands;
  return [...new Set(listed.flatMap(({ name, textAliases = [] }) => [`/${name}`, ...textAliases]))];
}

test('every command of the gateway is text for the agent, and none ends its conversation', async () => {
  const texts = [...UNLISTED, ...(await commands())];
  expect(texts).toContain('/status');
  for (const [index, text] of texts.entries()) {
    const { result } = await send(client, turnOf('commands', `msg_${index}`, text));
    expect(await result).toEqual({
      kind: 'done',
      outcome: { kind: 'completed', text: `You said: ${text}`, finishReason: 'stop' },
    });
  }
  // A gateway calls again where a call failed half way, with the same text.
  const called = gateway.model.calls.map(({ lastUserText }) => lastUserText);
  expect(called.filter((text, index) => text !== called[index - 1])).toEqual(texts);
  const said = (gateway.model.calls.at(-1)?.messages ?? []).filter(({ role }) => role === 'user').map(({ content }) => content);
  for (const text of texts) expect(JSON.stringify(said)).toContain(JSON.stringify(text).slice(1, -1));
});

test.each(['/new', '/reset and look around'])('the message %j of a scheduled job is text for the agent', async (message) => {
  const schedule = { kind: 'every', everyMs: 3_600_000 } as const;
  const id = `cron_${message.length}`;
  const job = await addCron(client, { cronId: id, agentId: AGENT, name: id, schedule, message, enabled: true });
  await runCron(client, job.id);
  await gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes(`${id}] ${message}`));
});
