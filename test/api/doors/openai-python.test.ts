import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TEST_LIMIT_MS } from '../../support/eventually.ts';
import { ensureEarlierPython, ensureSdkPython } from '../../support/sdk-python.ts';
import { startOpenaiAgent } from './openai-agent.ts';
import type { OpenaiAgent } from './openai-agent.ts';

const run = promisify(execFile);

let door: OpenaiAgent;
beforeAll(async () => {
  door = await startOpenaiAgent();
});
afterAll(() => door?.close());

test.each([
  ['the newest version', ensureSdkPython],
  ['a year-old version', ensureEarlierPython],
])("OpenAI's Python client, %s, has chats, streams, responses that go on, and its own errors", async (_version, ensurePython) => {
  const bin = await ensurePython();
  const before = (await door.said()).length;
  const env = { BASE_URL: `${door.api.url}/openai/v1`, API_KEY: door.apiKey, AGENT: door.agentId };
  const program = join(import.meta.dirname, 'openai_program.py');
  const { stdout } = await run(join(bin, 'python'), [program], { env, timeout: TEST_LIMIT_MS });
  expect(JSON.parse(stdout)).toEqual({
    chat: { models: [door.agentId], reply: 'Good morning', streamed: 'One two three', usage: true },
    responses: {
      first: 'First',
      sameConversation: true,
      resumed: 'One two three',
      last: 'response.completed',
      deleted: true,
    },
    errors: ['NotFoundError model_not_found', 'AuthenticationError invalid_api_key', 'BadRequestError invalid_request'],
    asynchronous: 'At once',
  });
  const said = (await door.said()).slice(before).map(({ sessionId }) => sessionId);
  expect(new Set(said).size).toBe(3);
});
