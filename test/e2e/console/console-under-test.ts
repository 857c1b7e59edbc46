import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';

import type { ApiClient } from '../../support/api-client.ts';
import { ensureConsole } from '../../support/built-console.ts';
import { startBrowser } from '../../support/chromium.ts';
import { PATIENCE_MS } from '../../support/eventually.ts';
import { startStack } from '../../support/stack-under-test.ts';
import type { StackUnderTest } from '../../support/stack-under-test.ts';

const ROOT = join(import.meta.dirname, '../../..');
const SHOTS = join(ROOT, 'artefacts/console');

/** The console of a stack in a browser, signed in as nobody at first. */
export interface ConsoleUnderTest {
  stack: StackUnderTest;
  account: ApiClient & { accountId: string };
  page: Page;
  /** What the pages asked for outside of their origin, what their policy refused, and what failed in them. */
  strange: string[];
  /** Of the agent that the first test makes: `/instances/<id>/agents/<id>`. */
  agentPath: string;
  /** Signs in with a new link. */
  openByLink(): Promise<void>;
  /** Loads the page at this path below `/console`. */
  goTo(path: string): Promise<void>;
  /** Goes to a page by its link in a navigation, without loading the console again. */
  follow(name: string): Promise<void>;
  /** Sends a message in the chat that is open. */
  say(text: string): Promise<void>;
  /** The replies of the agent that have ended. */
  replies(): Locator;
  screenshot(name: string): Promise<void>;
  close(): Promise<void>;
}

/** Starts a stack with the real gateway, and a browser. */
export async function startConsole(): Promise<ConsoleUnderTest> {
  await ensureConsole();
  const [stack, browser] = await Promise.all([
    startStack({ env: { WEBHOOK_ALLOW_PRIVATE: 'true', TEMPORAL_UI_URL: 'http://temporal.example' } }),
    startBrowser(),
  ]);
  const account = await stack.newAccount();
  await mkdir(SHOTS, { recursive: true });
  const page = await browser.context.newPage();
  page.setDefaultTimeout(Number(process.env['STEP_MS'] ?? PATIENCE_MS));
  const strange: string[] = [];
  page.on('request', (request) => {
    const { protocol, origin } = new URL(request.url());
    // An image that is shown is in its own address.
    if (origin !== stack.url && protocol !== 'data:' && protocol !== 'blob:') strange.push(request.url());
  });
  page.on('pageerror', (error) => strange.push(error.message));
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) strange.push(message.text());
  });
  page.on('dialog', (dialog) => void (dialog.type() === 'confirm' ? dialog.accept() : strange.push(dialog.message())));
  return {
    ...{ stack, account, page, strange, agentPath: '' },
    async openByLink() {
      const { path } = await account.ok('POST', '/auth/links');
      // The part behind the # alone would not load the page again.
      await page.goto('about:blank');
      await page.goto(`${stack.url}${path}`);
      await page.getByRole('navigation', { name: 'Console' }).waitFor();
    },
    async goTo(path) {
      await page.goto(`${stack.url}/console${path}`);
    },
    async follow(name) {
      await page.getByRole('navigation').getByRole('link', { name, exact: true }).first().click();
    },
    async say(text) {
      await page.getByLabel('Message', { exact: true }).fill(text);
      await page.getByRole('button', { name: 'Send', exact: true }).click();
    },
    replies: () => page.locator('.said-agent:not([aria-busy])'),
    async screenshot(name) {
      await page.screenshot({ path: join(SHOTS, `${name}.png`) });
    },
    async close() {
      await browser.close();
      await stack.close();
    },
  };
}
