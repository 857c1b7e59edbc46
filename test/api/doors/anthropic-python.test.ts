import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TEST_LIMIT_MS } from '../../support/eventually.ts';
import { startScripted } from '../../support/scripted-gateway/start-scripted.ts';
import { ensureEarlierPython, ensureSdkPython } from '../../support/sdk-python.ts';
import { startAnthropicDoor } from './anthropic-agent.ts';
import type { AnthropicDoor } from './anthropic-agent.ts';

const run = promisify(execFile);

let door: AnthropicDoor;
beforeAll(async () => {
  door = await startAnthropicDoor((await startScripted()).gateway);
});
afterAll(() => door?.close());

test.each([
  ['the newest version', ensureSdkPython],
  ['one of the first with managed agents', ensureEarlierPython],
])(
  "Anthropic's Python client, %s, has agents, environments, sessions, live events, and its own errors",
  async (_version, ensurePython) => {
    const bin = await ensurePython();
    const session = await door.openSession();
    const env = { BASE_URL: door.baseURL, API_KEY: door.apiKey, SESSION: session, ENVIRONMENT: door.environmentId };
    const program = join(import.meta.dirname, 'anthropic_program.py');
    const { stdout } = await run(join(bin, 'python'), [program], { env, timeout: TEST_LIMIT_MS });
    expect(JSON.parse(stdout)).toEqual({
      made: { agent: ['agent', 1], session: ['session', 'idle', true, 'From Python'], environments: [true] },
      talked: {
        types: ['user.message', 'session.status_running', 'agent.message', 'session.status_idle'],
        reply: 'Good morning',
        same: true,
      },
      errors: [
        'NotFoundError not_found_error',
        'AuthenticationError authentication_error',
        'BadRequestError invalid_request_error',
      ],
      asynchronous: 'At once',
    });
  },
);
