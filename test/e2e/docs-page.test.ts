import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Locator, Page } from 'playwright-core';
import { startBrowser } from '../support/chromium.ts';
import type { Browser } from '../support/chromium.ts';
import { eventually, PATIENCE_MS } from '../support/eventually.ts';
import { startStack } from '../support/stack-under-test.ts';
import type { StackUnderTest } from '../support/stack-under-test.ts';
import { installScriptedOpenClaw } from '../support/stand-in-openclaw.ts';
import type { StandIn } from '../support/stand-in-openclaw.ts';

let openClaw: StandIn;
let stack: StackUnderTest;
let browser: Browser;

beforeAll(async () => {
  openClaw = await installScriptedOpenClaw();
  [stack, browser] = await Promise.all([startStack({ openClaw }), startBrowser()]);
});

afterAll(async () => {
  await browser?.close();
  await stack?.close();
  await openClaw?.remove();
});

/** Opens the POST operation of this path on the page and lets it be tried. */
async function tryOut(page: Page, path: string): Promise<Locator> {
  const operation = page.locator('.opblock-post', { has: page.locator(`[data-path="${path}"]`) });
  await operation.locator('.opblock-summary-control').click();
  await operation.locator('.try-out__btn').click();
  return operation;
}

interface Values {
  parameters?: Record<string, string>;
  body?: object;
}

/** Fills the form in, executes it, and reads what the page shows of the answer. */
async function execute(operation: Locator, { parameters = {}, body }: Values) {
  for (const [name, value] of Object.entries(parameters))
    await operation.locator(`tr[data-param-name="${name}"] input`).fill(value);
  if (body) await operation.locator('textarea.body-param__text').fill(JSON.stringify(body));
  await operation.locator('button.execute').click();
  const answer = operation.locator('.live-responses-table tbody tr.response').first();
  await answer.locator('.response-col_status').waitFor({ timeout: PATIENCE_MS });
  const status = Number.parseInt(await answer.locator('.response-col_status').innerText(), 10);
  return { status, body: JSON.parse(await answer.locator('.highlight-code code').first().innerText()) };
}

/** At once on a machine that has time. */
const becomes = (read: () => Promise<{ status: string }>, status: string) =>
  eventually(async () => expect(await read()).toMatchObject({ status }));

test('on the page of the reference a stranger authorizes, creates an instance and an agent, and reads a reply', async () => {
  const account = await stack.newAccount();
  const { apiKey } = await account.ok('POST', '/auth/keys', { name: 'page' });
  const page = await browser.context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const origins = new Set<string>();
  page.on('request', (request) => void (request.url().startsWith('data:') || origins.add(new URL(request.url()).origin)));
  await page.goto(`${stack.url}/docs`);

  await page.locator('button.authorize').first().click();
  const dialog = page.locator('.auth-container', { hasText: 'X-API-Key' });
  await dialog.locator('input').fill(String(apiKey));
  await dialog.locator('button.authorize').click();
  await dialog.locator('button.btn-done').click();

  const create = await tryOut(page, '/instances');
  const instance = await execute(create, { parameters: { wait: '60' }, body: { name: 'from the page' } });
  expect(instance).toMatchObject({ status: 201, body: { name: 'from the page' } });
  const { instanceId } = instance.body;
  await becomes(() => account.ok('GET', `/instances/${instanceId}`), 'running');

  const newAgent = await tryOut(page, '/instances/{instanceId}/agents');
  const body = { name: 'helper', slug: 'helper', displayName: 'Helper' };
  const agent = await execute(newAgent, { parameters: { instanceId }, body });
  expect(agent).toMatchObject({ status: 201, body: { slug: 'helper' } });
  const { agentId } = agent.body;
  await becomes(() => account.ok('GET', `/instances/${instanceId}/agents/${agentId}`), 'active');

  const send = await tryOut(page, '/instances/{instanceId}/agents/{agentId}/messages');
  const message = { message: '[[SAY Read in a browser.]]', timeoutMs: PATIENCE_MS };
  const reply = await execute(send, { parameters: { instanceId, agentId }, body: message });
  expect(reply).toMatchObject({ status: 200, body: { content: 'Read in a browser.', status: 'completed' } });

  expect([...origins]).toEqual([stack.url]);
  await page.close();
});
