import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { MAX_SKILL_NAME_LENGTH, MAX_SKILLS } from '../../../domain/agents/skills.ts';
import { setAgentFile } from '../../../runtime/openclaw/content/agent-files.ts';
import type { PersonaFile } from '../../../runtime/gateway/gateway.ts';
import { addCron, runCron } from '../../../runtime/openclaw/content/crons.ts';
import type { GatewayClient } from '../../../runtime/openclaw/wire/gateway-client.ts';
import { MAX_USER_FILE_CHARS } from '../../../runtime/openclaw/content/persona-limits.ts';
import { maxPersonaChars } from '../../../runtime/openclaw/content/persona-settings.ts';
import { AGENT, borrowGateway } from '../../support/gateway-under-test.ts';
import type { GatewayUnderTest } from '../../support/gateway-under-test.ts';
import { send, turnOf } from './turns-under-test.ts';

// What the API accepts is in the model's call whole, also its middle, which is what a gateway leaves out first.

/** Of the model of the gateway under test. */
const CONTEXT_WINDOW = 256_000;
/** Of a message (256 KiB) and of the message of a job. */
const MESSAGE_CHARS = 256 * 1024;
const CRON_MESSAGE_CHARS = 100_000;

let gateway: GatewayUnderTest;
let client: GatewayClient;

beforeAll(async () => {
  gateway = await borrowGateway();
  client = await gateway.connect();
});
afterAll(() => gateway?.close());

/** A text of so many characters with this mark at its beginning, in its middle and at its end. */
function marked(mark: string, length: number): string {
  const filling = (until: number, text: string) => text.padEnd(until, 'lorem ipsum dolor sit amet, ');
  const middle = `<${mark} middle>`;
  const end = `<${mark} end>`;
  const text = filling(length - end.length, filling(length / 2, `<${mark} start>`) + middle);
  return `${text}${end}`;
}

const marksOf = (mark: string) => ['start', 'middle', 'end'].map((place) => `<${mark} ${place}>`);

let turns = 0;
/** What the model is sent in the first turn of a new conversation. */
async function promptOf(message = 'Hello'): Promise<string> {
  turns += 1;
  const { result } = await send(client, turnOf(`sizes-${turns}`, `msg_size_${turns}`, `${message}\n\n[[SAY Yes.]]`));
  expect(await result).toMatchObject({ outcome: { kind: 'completed', text: 'Yes.' } });
  return JSON.stringify(gateway.model.calls.findLast(({ lastUserText }) => lastUserText.includes('[[SAY Yes.]]'))?.messages);
}

const write = (name: PersonaFile, content: string) => setAgentFile(client, { agentId: AGENT, name, content });

test.each([33_000, maxPersonaChars(CONTEXT_WINDOW)])('a SOUL.md of %i characters', async (length) => {
  await write('SOUL.md', marked('soul', length));
  const prompt = await promptOf();
  for (const mark of marksOf('soul')) expect(prompt).toContain(mark);
  await write('SOUL.md', 'You help.');
});

test('all persona files together, as large as they may be', async () => {
  const names = ['AGENTS.md', 'SOUL.md', 'IDENTITY.md', 'MEMORY.md'] as const;
  const length = (maxPersonaChars(CONTEXT_WINDOW) - MAX_USER_FILE_CHARS) / names.length;
  for (const name of names) await write(name, marked(name, length));
  await write('USER.md', marked('USER.md', MAX_USER_FILE_CHARS));
  const prompt = await promptOf();
  for (const mark of [...names, 'USER.md'].flatMap(marksOf)) expect(prompt).toContain(mark);
  for (const name of [...names, 'USER.md'] as const) await write(name, 'Nothing.');
});

test('a message and the message of a job', async () => {
  const prompt = await promptOf(marked('message', MESSAGE_CHARS - 100));
  for (const mark of marksOf('message')) expect(prompt).toContain(mark);

  const message = marked('job', CRON_MESSAGE_CHARS);
  const schedule = { kind: 'every', everyMs: 3_600_000 } as const;
  const added = await addCron(client, {
    cronId: 'cron_1',
    agentId: AGENT,
    name: 'x'.repeat(64),
    schedule,
    message,
    enabled: true,
  });
  await runCron(client, added.id);
  const { messages } = await gateway.model.waitForCall(({ lastUserText }) => lastUserText.includes('<job end>'));
  for (const mark of marksOf('job')) expect(JSON.stringify(messages)).toContain(mark);
});

test('the names of as many skills as an instance may have, as long as they may be, and how their descriptions begin', async () => {
  const names = Array.from({ length: MAX_SKILLS }, (_none, index) => `skill-${index}-`.padEnd(MAX_SKILL_NAME_LENGTH, 'x'));
  const begins = 'Tells the tides of all harbours from Bergen to Bilbao';
  const description = `${begins}, ${'in "clear" & simple words, '.repeat(40)}`.slice(0, 1_024);
  const files = names.map((name) => {
    const content = Buffer.from(`---\nname: ${name}\ndescription: ${JSON.stringify(description)}\n---\nText.\n`);
    return [`${name}/SKILL.md`, { content, executable: false }] as const;
  });
  await gateway.setSkills({ bundled: [], custom: new Map(files) });
  const prompt = await promptOf();
  expect(names.filter((name) => !prompt.includes(`<name>${name}</name>`))).toEqual([]);
  expect(prompt.split(`<description>${begins}`)).toHaveLength(1 + MAX_SKILLS);
});
