import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TEST_LIMIT_MS } from '../../support/eventually.ts';
import { borrowGateway } from '../../support/gateway-under-test.ts';
import { said, startAnthropicDoor, untilIdle } from './anthropic-agent.ts';
import type { AnthropicDoor } from './anthropic-agent.ts';

let door: AnthropicDoor;
beforeAll(async () => {
  door = await startAnthropicDoor(await borrowGateway());
});
afterAll(() => door?.close());

test(
  'a real agent works and replies in a session of the official client, and remembers what was said',
  async () => {
    const id = await door.openSession();
    const { events } = door.anthropic.beta.sessions;
    const say = async (text: string) => {
      const stream = await events.stream(id);
      await events.send(id, { events: [said(text)] });
      return untilIdle(stream);
    };
    const command = JSON.stringify({ command: 'echo "$((6 * 7))"', yieldMs: 120_000 });
    const worked = await say(`[[TOOL exec ${command}]] [[SAY It is 42.]]`);
    expect(worked.map(({ type }) => type)).toEqual([
      ...['user.message', 'session.status_running', 'agent.tool_use', 'agent.tool_result', 'agent.message'],
      'session.status_idle',
    ]);
    expect(worked[2]).toMatchObject({ name: 'exec', input: { command: 'echo "$((6 * 7))"' } });
    expect(worked[3]).toMatchObject({ content: [{ type: 'text', text: expect.stringContaining('42') }], is_error: false });
    expect(worked[4]).toMatchObject({ content: [{ type: 'text', text: 'It is 42.' }] });
    await say('[[SAY Again]]');
    const told = door.gateway.model.calls.findLast(({ lastUserText }) => lastUserText.includes('[[SAY Again]]'));
    expect(JSON.stringify(told?.messages)).toContain('It is 42.');
    const listed = [];
    for await (const event of events.list(id)) listed.push(event);
    expect(listed.slice(0, 6)).toEqual(worked);
  },
  TEST_LIMIT_MS,
);
