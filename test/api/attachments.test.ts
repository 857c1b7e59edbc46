import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ApiClient } from '../support/api-client.ts';
import { newAgent, say } from '../support/patient-client.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';

/** One red pixel. */
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==';
const SEEING = { upstream: 'seeing', contextWindow: 128_000, maxTokens: 4_096, input: ['text', 'image'] };

let stack: StackUnderTest;
let account: ApiClient;
let instanceId: string;
let path: string;

beforeAll(async () => {
  stack = await startStack({ env: { MODELS: JSON.stringify({ seeing: SEEING }) } });
  account = await stack.newAccount();
  ({ instanceId } = await account.ok('POST', '/instances', { name: 'attachments' }));
  const { agentId } = await newAgent(account, instanceId);
  path = `/instances/${instanceId}/agents/${agentId}`;
});
afterAll(() => stack?.close());

test('a model that takes images is shown those that came with a message, and the agent reads the other files', async () => {
  const attachments = [
    { name: 'My photo (1).png', mediaType: 'image/png', data: PNG },
    { name: 'numbers.csv', mediaType: 'text/csv', data: Buffer.from('4711,42').toString('base64') },
  ];
  const message = { message: 'What is [[TOOL exec {"command":"cat inbox/*/numbers.csv"}]] in these?', attachments };
  const { content } = await say(account, `${path}/messages`, message);
  expect(content).toContain('4711,42');
  const call = stack.model.calls.find(({ lastUserText }) => lastUserText.includes('in these?'));
  expect(JSON.stringify(call?.messages)).toContain('./inbox/');
  const parts = call?.messages.flatMap((one) => (Array.isArray(one.content) ? one.content : [])) ?? [];
  const images = parts.filter(({ type }) => type === 'image_url');
  expect(images).toMatchObject([{ image_url: { url: expect.stringMatching(/^data:image\/(png|jpeg);base64,/) } }]);
  const [asked] = (await account.ok('GET', `${path}/messages`)).messages;
  expect(asked).toMatchObject({ content: message.message, attachments: [{ size: 70 }, { size: 7 }] });
  const got = await account.raw('GET', `${path}/files/${asked.attachments[0].path}`);
  expect(Buffer.from(await got.arrayBuffer()).toString('base64')).toBe(PNG);
});
