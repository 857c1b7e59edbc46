import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import type { Locator } from 'playwright-core';
import { eventually } from '../../support/eventually.ts';
import type { ConsoleUnderTest } from './console-under-test.ts';

const file = (name: string, mimeType: string, text: string) => ({ name, mimeType, buffer: Buffer.from(text) });

/** As if this file was dragged from the desktop and dropped here. */
async function drop(place: Locator, name: string, text: string): Promise<void> {
  const dataTransfer = await place.page().evaluateHandle(
    `(() => {
      const dropped = new DataTransfer();
      dropped.items.add(new File([${JSON.stringify(text)}], ${JSON.stringify(name)}));
      return dropped;
    })()`,
  );
  for (const type of ['dragenter', 'dragover', 'drop']) await place.dispatchEvent(type, { dataTransfer });
}

/** Talking with an agent: the first minute, replies, conversations, attachments, steps and files. */
export function chatTests(console: () => ConsoleUnderTest): void {
  test('a link opens the console signed in; from there one button leads to an agent that answers', async () => {
    const it = console();
    const { page } = it;
    await it.openByLink();
    expect(page.url()).not.toContain('link=');
    expect(await page.evaluate('document.cookie')).toBe('');
    await page.getByRole('button', { name: 'Create your first agent' }).click();
    await page.getByRole('heading', { name: 'Helper', exact: true }).waitFor();
    it.agentPath = new URL(page.url()).pathname.replace('/console', '');
    // It says what goes on until the instance runs, and a message is sent then.
    await page.getByText('The gateway starts').waitFor();
    await it.say('[[SAY The first reply.]]');
    await page.getByText('It is sent as soon as the instance runs.', { exact: true }).waitFor();
    await it.replies().getByText('The first reply.').waitFor();
  }, 400_000);

  test('a reply is shown while it is written, can be cancelled, and is followed after a reload', async () => {
    const { page, stack, say, replies } = console();
    await say('[[SAY Slow words that come one by one.]][[HOLD reload 3]]');
    await page.getByText('Slow words that', { exact: true }).waitFor();
    await page.reload();
    await page.locator('.said-agent[aria-busy]').getByText('Slow words that', { exact: true }).waitFor();
    stack.model.release('reload');
    await replies().getByText('Slow words that come one by one.', { exact: true }).waitFor();

    await say('[[SAY Never said in full.]][[HOLD cancel 2]]');
    await page.getByText('Never said', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('You cancelled this reply.').waitFor();
    stack.model.release('cancel');
  });

  test('files that are attached reach the agent, and are opened from the conversation', async () => {
    const { page, stack, say, replies } = console();
    await page.setInputFiles('.composer input[type=file]', [
      file('plan.md', 'text/markdown', '# The plan\n\nBe kind.'),
      file('not wanted.txt', 'text/plain', 'x'),
    ]);
    await page.getByRole('button', { name: 'Remove not wanted.txt' }).click();
    await say('[[SAY I have read it.]] The plan is attached.');
    await replies().getByText('I have read it.').waitFor();
    const call = await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('The plan is attached.'));
    expect(call.lastUserText).toMatch(/inbox\/msg_\w+\/plan\.md/);
    expect(call.lastUserText).not.toContain('not_wanted');
    await page.getByLabel('Conversation', { exact: true }).getByRole('button', { name: 'plan.md' }).click();
    await page.getByRole('dialog').getByText('Be kind.').waitFor();
    await page.keyboard.press('Escape');
  });

  test('files that are dropped on the conversation go with the message, and those dropped on the files are uploaded', async () => {
    const { page, stack, account, agentPath, say, replies } = console();
    await drop(page.getByLabel('Conversation', { exact: true }), 'dropped.md', '# Dropped');
    await page.getByRole('button', { name: 'Remove dropped.md' }).waitFor();
    await say('[[SAY It was dropped.]] Look at what I dropped.');
    await replies().getByText('It was dropped.').waitFor();
    const call = await stack.model.waitForCall(({ lastUserText }) => lastUserText.includes('what I dropped'));
    expect(call.lastUserText).toMatch(/inbox\/msg_\w+\/dropped\.md/);
    await drop(page.getByLabel('Files of the agent', { exact: true }), 'uploaded.txt', 'by hand');
    await eventually(async () => {
      const { files } = await account.ok('GET', `${agentPath}/files`);
      expect(files).toContainEqual(expect.objectContaining({ path: 'uploaded.txt', size: 7 }));
    });
  });

  test('a message that is refused is in the box again, with its files', async () => {
    const { page } = console();
    const box = page.getByLabel('Message', { exact: true });
    await page.setInputFiles('.composer input[type=file]', file('.openclaw', 'text/plain', 'not taken'));
    await box.fill('Not lost');
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page
      .getByRole('alert')
      .getByText(/belongs to the gateway/)
      .waitFor();
    await eventually(async () => expect(await box.inputValue()).toBe('Not lost'));
    await page.getByRole('button', { name: 'Remove .openclaw' }).click();
    await box.fill('');
  });

  test('what the agent did for a reply is shown while it works, after its end and after a reload', async () => {
    const { page, say, replies } = console();
    await say('[[TOOL exec {"command":"echo hello from a tool"}]][[SAY The tool has run.]]');
    await replies().getByText('The tool has run.').waitFor();
    const reply = replies().filter({ hasText: 'The tool has run.' });
    await reply.getByText('exec').click();
    await reply
      .getByText(/echo hello from a tool/)
      .first()
      .waitFor();
    await page.reload();
    await reply.getByRole('button', { name: 'Show steps' }).click();
    await reply.getByText('exec').waitFor();
  });

  test("the agent's files are beside the chat: uploaded, opened, downloaded and deleted", async () => {
    const { page, account, agentPath } = console();
    const files = page.getByLabel('Files of the agent');
    await files.locator('input[type=file]').setInputFiles(file('notes.txt', 'text/plain', 'Uploaded by hand.'));
    await files.getByRole('button', { name: /^notes\.txt/ }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Uploaded by hand.').waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      dialog.getByRole('button', { name: 'Download' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('notes.txt');
    expect(await readFile(await download.path(), 'utf8')).toBe('Uploaded by hand.');
    await dialog.getByRole('button', { name: 'Delete' }).click();
    await files.getByRole('button', { name: /^notes\.txt/ }).waitFor({ state: 'detached' });
    const { files: left } = await account.ok('GET', `${agentPath}/files?prefix=notes`);
    expect(left).toEqual([]);
  });

  test('each conversation has its own messages', async () => {
    const { page, say, replies } = console();
    await page.getByRole('button', { name: 'New conversation' }).click();
    await page.getByText('Say something to Helper').waitFor();
    await say('[[SAY In another conversation.]]');
    await replies().getByText('In another conversation.').waitFor();
    expect(await page.getByText('The first reply.', { exact: true }).count()).toBe(0);
    await page
      .getByRole('navigation', { name: 'Conversations' })
      .getByRole('button', { name: /first reply/ })
      .click();
    await replies().getByText('The first reply.').waitFor();
  });

  test("a hostile agent's text runs nothing, loads nothing and leads nowhere but to the web", async () => {
    const { page, say, replies, strange } = console();
    const hostile = [
      '<script>alert(1)</script> <img src="https://evil.example/a.png" onerror="alert(2)"> <iframe src="https://evil.example">',
      '![pixel](https://evil.example/b.png) [run](javascript:alert(3)) [data](data:text/html,x) [web](https://good.example/)',
      '<style>body{display:none}</style> <a href="javascript:alert(4)">x</a>',
    ];
    await page.getByRole('button', { name: 'New conversation' }).click();
    await say(`[[PIECES ${JSON.stringify(hostile.map((line) => `${line}\n\n`))}]]`);
    const said = replies().last();
    await said.getByRole('link', { name: 'web' }).waitFor();
    expect(await said.locator('script, img, iframe, style, [onerror], [style]').count()).toBe(0);
    const links = await said
      .getByRole('link')
      .evaluateAll((found) => found.map((one) => [one.getAttribute('href'), one.getAttribute('rel')]));
    expect(links).toEqual([
      ['https://evil.example/b.png', 'noreferrer noopener nofollow'],
      ['https://good.example/', 'noreferrer noopener nofollow'],
    ]);
    expect(strange).toEqual([]);
  });

  test('a hostile file is shown as its text, and never as a page', async () => {
    const { page, strange } = console();
    const files = page.getByLabel('Files of the agent');
    await files
      .locator('input[type=file]')
      .setInputFiles([
        file('evil.html', 'text/html', '<script>alert(1)</script>'),
        file('evil.md', 'text/markdown', '<img src=x onerror=alert(1)> ![pixel](https://evil.example/c.png)'),
        file('evil.svg', 'image/svg+xml', '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
      ]);
    for (const name of ['evil.html', 'evil.md', 'evil.svg']) {
      await files.getByRole('button', { name: new RegExp(`^${name}`) }).click();
      const content = page.getByRole('region', { name: `Content of ${name}` });
      await content.waitFor();
      expect(await content.locator('script, img, svg, iframe, [onerror]').count()).toBe(0);
      expect(await content.innerText()).toMatch(/<(?:script|img|svg)/);
      await page.keyboard.press('Escape');
    }
    expect(strange).toEqual([]);
  });
}
