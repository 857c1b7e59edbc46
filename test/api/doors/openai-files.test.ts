import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { OpenAI } from 'openai';
import { GATEWAY_RUNTIME_ID } from '../../support/gateway-program.ts';
import { startOpenaiAgent } from './openai-agent.ts';
import type { OpenaiAgent } from './openai-agent.ts';

type Messages = OpenAI.ChatCompletionMessageParam[];
type ChatPart = OpenAI.ChatCompletionContentPart;

const PNG = Buffer.from([0x89, 0x50, 0x4e, 0x47]);
const MEBIBYTE = 1024 ** 2;

let door: OpenaiAgent;
let count = 0;
let inboxBefore: string[];

beforeAll(async () => {
  door = await startOpenaiAgent();
});
afterAll(() => door?.close());
beforeEach(async () => {
  inboxBefore = await inbox();
});

const once = (text: string) => `${text} ${(count += 1)}`;
const dataUrl = (mediaType: string, bytes: Buffer) => `data:${mediaType};base64,${bytes.toString('base64')}`;
const text = (words: string): ChatPart => ({ type: 'text', text: words });
const image = (url = dataUrl('image/png', PNG)): ChatPart => ({ type: 'image_url', image_url: { url } });
const file = (fields: OpenAI.ChatCompletionContentPart.File.File): ChatPart => ({ type: 'file', file: fields });
const user = (...content: ChatPart[]): Messages[number] => ({ role: 'user', content });
const complete = (messages: Messages, options: object = {}) =>
  door.openai.chat.completions.create({ model: door.agentId, messages, stream: false }, options);
const respond = (content: object[]) =>
  door.openai.responses.create({ model: door.agentId, input: [{ role: 'user', content: content as [] }], stream: false });

async function workspace(): Promise<string> {
  const names = await door.api.sql<{ name: string }>('select gateway_agent_id as name from agents where id = ?', [door.agentId]);
  const folder = door.gateway.driver.paths(GATEWAY_RUNTIME_ID).workspaceOf(names[0]?.name ?? '');
  await mkdir(folder, { recursive: true });
  return folder;
}
async function inbox(): Promise<string[]> {
  return readdir(join(await workspace(), 'inbox')).catch(() => []);
}
/** The newest message of the customer as our own API shows it. */
async function newest(sessionId: unknown) {
  const { messages } = await door.account.ok('GET', `${door.path}/messages?sessionId=${String(sessionId)}`);
  return messages.findLast(({ role }: { role: string }) => role === 'user');
}

describe('files in a chat completion', () => {
  test('are attachments of the message: in the workspace, named in history and told to the agent', async () => {
    const words = once('[[SAY Seen]] Look');
    const { metadata } = await complete([
      user(
        text(words),
        image(),
        image(dataUrl('IMAGE/JPEG;charset=x', PNG)),
        file({ filename: 'notes/a.txt', file_data: dataUrl('text/plain', Buffer.from('hello')) }),
        file({ file_data: Buffer.from('bare').toString('base64') }),
      ),
    ]);
    const { messageId, content, attachments } = await newest(metadata?.['sessionId']);
    const folder = `inbox/${messageId}`;
    expect(content).toBe(words);
    expect(attachments).toEqual([
      { name: 'image', mediaType: 'image/png', size: 4, path: `${folder}/image.png` },
      { name: 'image', mediaType: 'image/jpeg', size: 4, path: `${folder}/image.jpg` },
      { name: 'notes/a.txt', mediaType: 'text/plain', size: 5, path: `${folder}/notes/a.txt` },
      { name: 'file', mediaType: 'application/octet-stream', size: 4, path: `${folder}/file` },
    ]);
    expect(await readFile(join(await workspace(), folder, 'image.png'))).toEqual(PNG);
    expect(await readFile(join(await workspace(), folder, 'file'), 'utf8')).toBe('bare');
    expect(await door.lastTold()).toContain(`- ./${folder}/image.png (image/png, 4 bytes)\n`);
  });

  test('can be all that it says', async () => {
    const { metadata } = await complete([user(image())]);
    expect(await newest(metadata?.['sessionId'])).toMatchObject({ content: '(attached files)', attachments: [{ size: 4 }] });
  });

  test('that came earlier are a part of the conversation that is found again, and not attached twice', async () => {
    const first = user(text(once('[[SAY A cat]]')), image());
    const one = await complete([first]);
    const next: Messages = [{ role: 'assistant', content: 'A cat' }, user(text('[[SAY Yes]] Sure?'))];
    const two = await complete([first, ...next]);
    expect(two.metadata).toEqual(one.metadata);
    expect(await newest(two.metadata?.['sessionId'])).not.toHaveProperty('attachments');
    const other = user(first.content![0] as ChatPart, image(dataUrl('image/png', Buffer.from('other'))));
    const three = await complete([other, ...next]);
    expect(three.metadata).not.toEqual(one.metadata);
    expect(await door.lastTold()).toContain('(attached image)\nYou: A cat');
  });

  test('of a message that a client sends again are stored once with it', async () => {
    const messages = [user(text(once('[[SAY Once]]')), image())];
    const one = await complete(messages);
    const again = await complete(messages, { headers: { 'X-Stainless-Retry-Count': '1' } });
    expect([again.id, again.metadata]).toEqual([one.id, one.metadata]);
  });

  test('of a message that is refused go again', async () => {
    await door.api.sql(`update instances set desired_status = 'stopped' where id = ? returning id`, [door.instanceId]);
    const refused = await complete([user(text('Refused'), image())]).catch((error: unknown) => error);
    await door.api.sql(`update instances set desired_status = 'running' where id = ? returning id`, [door.instanceId]);
    expect(refused).toMatchObject({ status: 503, code: 'instance_not_ready' });
    const files = await Promise.all((await inbox()).map(async (name) => readdir(join(await workspace(), 'inbox', name))));
    expect(files.filter((names) => names.length > 0)).toHaveLength(inboxBefore.length);
  });

  const REFUSED: [what: string, part: object, param: string, message: RegExp][] = [
    ['the URL of an image', image('https://example.com/a.png'), 'messages.0.content.0.image_url.url', /data URL/],
    ['a data URL without base64', image('data:image/png,x'), 'messages.0.content.0.image_url.url', /data URL/],
    ['base64 that is none', image('data:image/png;base64,?'), 'messages', /The file 'image': Must be base64/],
    ['a name that leaves the workspace', file({ filename: '../x', file_data: 'AAAA' }), 'messages', /The file '\.\.\/x'/],
    ['a file that OpenAI has', file({ file_id: 'file-1' }), 'messages.0.content.0.file.file_id', /Send the bytes/],
    ['audio', { type: 'input_audio', input_audio: { data: '', format: 'wav' } }, 'messages.0.content.0.type', /Audio/],
  ];
  test.each(REFUSED)('%s is 400 that says what to send, and stores nothing', async (_, part, param, message) => {
    const error = await complete([user(part as ChatPart)]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ status: 400, error: { message: expect.stringMatching(message) } });
    const named = (error as { error: { details: { path: string }[] } }).error.details.map(({ path }) => path);
    expect(named).toContain(param);
    expect(await inbox()).toEqual(inboxBefore);
  });

  test('can be ten and 10 MiB in total, and not more', async () => {
    const ten = (bytes: number) => Array.from({ length: 10 }, () => image(dataUrl('image/png', Buffer.alloc(bytes))));
    expect((await complete([user(...ten(MEBIBYTE))])).id).toMatch(/^chatcmpl-/);
    const tooMany = complete([user(...ten(1), image())]);
    await expect(tooMany).rejects.toMatchObject({ status: 400, param: 'messages' });
    const tooLarge = complete([user(...ten(MEBIBYTE - 1), file({ file_data: 'A'.repeat(16) }))]);
    await expect(tooLarge).rejects.toMatchObject({ status: 400, param: 'messages' });
  });
});

describe('files in the input of a response', () => {
  test('are attachments of the message, and named by its input items', async () => {
    const response = await respond([
      { type: 'input_text', text: '[[SAY Read]] Look' },
      { type: 'input_image', detail: 'auto', image_url: dataUrl('image/webp', PNG) },
      { type: 'input_file', filename: 'a.pdf', file_data: dataUrl('application/pdf', Buffer.from('%PDF')) },
    ]);
    const messageId = response.id.slice('resp_'.length);
    const { requestMessageId } = await door.account.ok('GET', `${door.path}/messages/${messageId}`);
    expect(await readdir(join(await workspace(), 'inbox', requestMessageId))).toEqual(['a.pdf', 'image.webp']);
    const { data } = await door.openai.responses.inputItems.list(response.id);
    expect(data).toMatchObject([
      {
        content: [
          { type: 'input_text', text: '[[SAY Read]] Look' },
          { type: 'input_file', filename: 'image' },
          { type: 'input_file', filename: 'a.pdf' },
        ],
      },
    ]);
  });

  test.each([
    [{ type: 'input_image', detail: 'auto', image_url: 'https://example.com/a.png' }, 'input.0.content.0.image_url'],
    [{ type: 'input_image', detail: 'auto', file_id: 'file-1', image_url: null }, 'input.0.content.0.file_id'],
    [{ type: 'input_file', file_url: 'https://example.com/a.pdf' }, 'input.0.content.0.file_url'],
    [{ type: 'input_file', file_id: 'file-1' }, 'input.0.content.0.file_id'],
  ])('that are not sent themselves are 400: %j', async (part, param) => {
    const error = await respond([part]).catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      status: 400,
      error: { details: expect.arrayContaining([expect.objectContaining({ path: param })]) },
    });
  });
});
