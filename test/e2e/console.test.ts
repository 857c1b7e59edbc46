import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import axe from 'axe-core';
import type { Page } from 'playwright-core';

import type { ApiClient } from '../support/api-client.ts';
import { ensureConsole } from '../support/built-console.ts';
import { startBrowser } from '../support/chromium.ts';
import type { Browser } from '../support/chromium.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { startWebhookReceiver } from '../support/webhook-receiver.ts';

const ROOT = join(import.meta.dirname, '../..');
const SHOTS = join(ROOT, 'artefacts/console');
const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };

let stack: StackUnderTest;
let browser: Browser;
let account: ApiClient & { accountId: string };
let page: Page;
/** What the pages asked for outside of their origin, what their policy refused, and what failed in them. */
const strange: string[] = [];
/** Where the first test has made its agent. */
let agentPath = '';

beforeAll(async () => {
  await ensureConsole();
  [stack, browser] = await Promise.all([startStack({ env: { WEBHOOK_ALLOW_PRIVATE: 'true' } }), startBrowser()]);
  account = await stack.newAccount();
  await mkdir(SHOTS, { recursive: true });
  page = await browser.context.newPage();
  page.setDefaultTimeout(Number(process.env['STEP_MS'] ?? PATIENCE_MS));
  page.on('request', (request) => {
    if (new URL(request.url()).origin !== stack.url) strange.push(request.url());
  });
  page.on('pageerror', (error) => strange.push(error.message));
  page.on('console', (message) => {
    if (message.text().includes('Content Security Policy')) strange.push(message.text());
  });
  page.on('dialog', (dialog) => void (dialog.type() === 'confirm' ? dialog.accept() : strange.push(dialog.message())));
});

afterAll(async () => {
  await browser?.close();
  await stack?.close();
});

async function openByLink(): Promise<void> {
  const { path } = await account.ok('POST', '/auth/links');
  // The part behind the # alone would not load the page again.
  await page.goto('about:blank');
  await page.goto(`${stack.url}${path}`);
  await page.getByRole('navigation', { name: 'Console' }).waitFor();
}

const goTo = async (path: string): Promise<void> => void (await page.goto(`${stack.url}/console${path}`));
const say = async (text: string): Promise<void> => {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
};
const replies = () => page.locator('.said-agent:not([aria-busy])');

test('a link opens the console signed in; from there one button leads to an agent that answers', async () => {
  await openByLink();
  expect(page.url()).not.toContain('link=');
  expect(await page.evaluate('document.cookie')).toBe('');
  await page.getByRole('button', { name: 'Create your first agent' }).click();
  await page.getByRole('heading', { name: 'Helper', exact: true }).waitFor();
  agentPath = new URL(page.url()).pathname.replace('/console', '');
  // It says what goes on until the instance runs.
  await page.getByText('The gateway starts').waitFor();
  await page.locator('.status-running').waitFor();
  await say('[[SAY The first reply.]]');
  await replies().getByText('The first reply.').waitFor();
}, 400_000);

test('a reply is shown while it is written, can be cancelled, and is followed after a reload', async () => {
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

test('each conversation has its own messages', async () => {
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

test('the persona of the agent is edited with a preview, and the agent has it', async () => {
  await goTo(`${agentPath}/persona`);
  await page.getByRole('textbox', { name: 'SOUL.md' }).fill('# A lighthouse keeper');
  await page.getByRole('region', { name: 'Preview of SOUL.md' }).getByText('A lighthouse keeper', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved.', { exact: true }).waitFor();
  const agent = await account.ok('GET', agentPath);
  expect(agent.files['SOUL.md']).toBe('# A lighthouse keeper');
});

test('a cron job is made, and its result appears among the events by itself', async () => {
  await goTo(`${agentPath}/crons`);
  await page.getByLabel('Name').fill('morning');
  await page.getByLabel('What to tell the agent').fill('[[SAY It is morning.]]');
  await page.getByRole('button', { name: 'Create' }).click();
  await page.getByText(/Next run/).waitFor();
  await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Events' }).click();
  const { crons } = await account.ok('GET', `${agentPath}/crons`);
  await account.ok('POST', `${agentPath}/crons/${crons[0].cronId}/run`);
  await page.getByText('It is morning.').first().waitFor();
});

test('a webhook gets a test, and the page shows what its receiver answered', async () => {
  const receiver = await startWebhookReceiver();
  try {
    await goTo('/webhooks');
    await page.getByRole('textbox', { name: 'URL' }).fill(receiver.url);
    await page.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('link', { name: receiver.url }).click();
    await page.getByRole('button', { name: 'Send a test' }).click();
    await page.getByText('webhook.test').first().click();
    await page.getByText(/: 200 in/).waitFor();
  } finally {
    await receiver.close();
  }
});

test('a key is shown once, and works until it is revoked', async () => {
  await goTo('/keys');
  await page.getByRole('button', { name: 'Create a key' }).click();
  await page.getByLabel('Name').fill('from the console');
  await page.getByRole('button', { name: 'Create', exact: true }).click();
  const apiKey = await page.getByRole('dialog').locator('code').innerText();
  const me = async () => (await fetch(`${stack.url}/v1/auth/me`, { headers: { 'x-api-key': apiKey } })).status;
  expect(await me()).toBe(200);
  await page.getByRole('button', { name: 'Close' }).click();
  await page.getByRole('listitem').filter({ hasText: 'from the console' }).getByRole('button', { name: 'Revoke' }).click();
  await eventually(async () => expect(await me()).toBe(401));
});

test('a secret is stored and never shown', async () => {
  await goTo(`${agentPath.split('/agents/')[0]}/secrets`);
  await page.getByLabel('Name').fill('API_TOKEN');
  await page.getByLabel('Value').fill('the-value-of-it');
  await page.getByRole('button', { name: 'Store' }).click();
  await page.getByText('API_TOKEN', { exact: true }).waitFor();
  expect(await page.content()).not.toContain('the-value-of-it');
  await page.getByText(/The gateway restarts/).waitFor({ state: 'detached' });
});

test('an operator sees all instances, and adds credit to an account', async () => {
  await stack.operator.ok('PATCH', `/admin/accounts/${account.accountId}`, { operator: true });
  await goTo('/');
  await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Operator' }).click();
  await page.getByText(`workflow instance/${agentPath.split('/')[2]}`).waitFor();
  await page.getByRole('link', { name: 'Accounts' }).click();
  await page.getByLabel('Credit for Test in USD').fill('12.50');
  await page.getByRole('button', { name: 'Add credit' }).click();
  await eventually(async () => expect((await account.ok('GET', '/auth/me')).balanceUsd).toBeGreaterThan(62));
  await page.getByRole('link', { name: 'Audit' }).click();
  await page.getByText('grants.create').waitFor();
});

describe('every page', () => {
  const pages: [string, () => string][] = [
    ['instances', () => '/'],
    ['instance', () => agentPath.split('/agents/')[0] ?? ''],
    ...['skills', 'secrets', 'logs'].map((tab): [string, () => string] => [
      tab,
      () => `${agentPath.split('/agents/')[0]}/${tab}`,
    ]),
    ['chat', () => agentPath],
    ...['persona', 'crons'].map((tab): [string, () => string] => [tab, () => `${agentPath}/${tab}`]),
    ...['events', 'webhooks', 'keys', 'usage'].map((name): [string, () => string] => [name, () => `/${name}`]),
    ...['instances', 'accounts', 'models', 'audit'].map((tab): [string, () => string] => [
      `operator-${tab}`,
      () => `/operator/${tab}`,
    ]),
    ['not-found', () => '/nothing-here'],
  ];

  test.each(pages)('%s can be used by everybody, on a phone and a desk, by day and by night', async (name, pathOf) => {
    for (const [size, viewport] of Object.entries(SIZES))
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.setViewportSize(viewport);
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        await goTo(pathOf());
        await page.locator('main h1').waitFor();
        await page.locator('main[aria-busy=false]:not(:has(.loading))').waitFor();
        await page.screenshot({ path: join(SHOTS, `${name}-${size}-${colorScheme}.png`) });
        await page.evaluate(axe.source);
        const found = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>('axe.run(document)');
        const told = found.violations.map(
          ({ id, nodes }) => `${size} ${colorScheme} ${id}: ${nodes.map(({ html }) => html).join(' ')}`,
        );
        expect(told).toEqual([]);
        // Nothing is wider than the screen.
        expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(viewport.width);
      }
    expect(strange).toEqual([]);
  });
});

test('signing out ends the session, and a code by mail begins another one', async () => {
  await page.setViewportSize(SIZES.desktop);
  await goTo('/');
  await page.getByRole('button', { name: 'Sign out everywhere' }).click();
  await page.getByRole('heading', { name: 'Sign in' }).waitFor();
  await page.screenshot({ path: join(SHOTS, 'sign-in-desktop-dark.png') });
  const { email } = await account.ok('GET', '/auth/me');
  await page.getByLabel('Email').fill(email);
  await page.getByRole('button', { name: 'Send the code' }).click();
  const code = await eventually(async () => {
    const [, digits] = /(\d{6}) is your Thermidora login code/.exec(await stack.logOf('api')) ?? [];
    if (digits === undefined) throw new Error('no mail was sent');
    return digits;
  });
  await page.getByLabel('Code').fill(code);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: 'Instances' }).waitFor();
});

test('a link that was used before says what to do', async () => {
  const { path } = await account.ok('POST', '/auth/links');
  const used = await fetch(`${stack.url}/console/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-thermidora-console': '1', origin: stack.url },
    body: JSON.stringify({ link: path.split('#link=')[1] }),
  });
  expect(used.status).toBe(200);
  await page.context().clearCookies();
  await page.goto('about:blank');
  await page.goto(`${stack.url}${path}`);
  await page.getByText('This link was used before or has expired.').waitFor();
  await page.getByRole('button', { name: 'Send the code' }).waitFor();
});
