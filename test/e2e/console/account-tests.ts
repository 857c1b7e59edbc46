import { readFile } from 'node:fs/promises';
import { expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startWebhookReceiver } from '../../support/webhook-receiver.ts';
import type { ConsoleUnderTest } from './console-under-test.ts';

/** Webhooks, keys, budgets, secrets and data of a customer. */
export function accountTests(console: () => ConsoleUnderTest): void {
  test('a webhook gets a test, and the page shows what was sent and what its receiver answered', async () => {
    const { page, follow } = console();
    const receiver = await startWebhookReceiver();
    try {
      await follow('Webhooks');
      await page.getByRole('textbox', { name: 'URL' }).fill(receiver.url);
      await page.getByRole('button', { name: 'Create' }).click();
      await page.getByRole('link', { name: receiver.url }).click();
      await page.getByRole('button', { name: 'Send a test' }).click();
      await page.getByText('webhook.test').first().click();
      await page.getByText(/: 200 in/).waitFor();
      const sent = receiver.received[0]?.body ?? '';
      expect(await page.getByLabel('Body', { exact: true }).innerText()).toBe(sent);
    } finally {
      await receiver.close();
    }
  });

  test('a key is shown once, is limited as asked, and works until it is revoked', async () => {
    const { stack, page, agentPath, account, follow } = console();
    await follow('API keys');
    await page.getByRole('button', { name: 'Create a key' }).click();
    await page.getByLabel('Name').fill('from the console');
    await page.getByRole('checkbox', { name: /^secrets/ }).uncheck();
    await page.getByRole('checkbox', { name: /^keys/ }).uncheck();
    await page.getByLabel('Where').selectOption({ label: 'Only in first' });
    await page.getByLabel('It expires').selectOption('In 7 days');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    const apiKey = await page.getByRole('dialog').locator('code').innerText();
    const me = async () => (await fetch(`${stack.url}/v1/auth/me`, { headers: { 'x-api-key': apiKey } })).status;
    expect(await me()).toBe(200);
    const { keys } = await account.ok('GET', '/auth/keys');
    expect(keys[0]).toMatchObject({ scopes: ['read', 'messages', 'write'], instanceId: agentPath.split('/')[2] });
    const days = (Date.parse(keys[0].expiresAt) - Date.now()) / 86_400_000;
    expect(Math.round(days)).toBe(7);
    await page.getByRole('button', { name: 'Close' }).click();
    const listed = page.getByRole('listitem').filter({ hasText: 'from the console' });
    await listed.getByText(/only in first/).waitFor();
    await listed.getByRole('button', { name: 'Revoke' }).click();
    await eventually(async () => expect(await me()).toBe(401));
  });

  test('a budget is made, shows what was spent by each key, is changed and deleted', async () => {
    const { page, account, follow } = console();
    await follow('Budgets');
    await page.getByRole('button', { name: 'Create a budget' }).click();
    await page.getByLabel('Name').fill('end users');
    await page.getByLabel('Limit in USD').fill('2.50');
    await page.getByLabel('It counts what is spent by').selectOption('end user');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByText('Each end user separately, each month').waitFor();
    const { budgets } = await account.ok('GET', '/budgets');
    expect(budgets).toMatchObject([
      { name: 'end users', scope: { senderId: '*' }, period: 'month', limitUsd: '2.50', warnAt: 80 },
    ]);
    await page.getByText('Spending by key').click();
    await page.getByText('Nothing was spent in this period.').waitFor();
    await page.getByRole('button', { name: 'Change' }).click();
    await page.getByLabel('Limit in USD').fill('0');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText(/Must be greater than zero/).waitFor();
    await page.getByLabel('Limit in USD').fill('7.00');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText(/with a limit of \$7\.00 for each/).waitFor();
    await page.getByRole('button', { name: 'Delete' }).click();
    await page.getByText('You have no budgets').waitFor();
  });

  test('an instance gets another name, which every page shows, and a time after which it sleeps', async () => {
    const { page, account, agentPath, follow } = console();
    await follow('Instances');
    await page.getByRole('link', { name: 'first', exact: true }).click();
    await follow('Settings');
    await page.getByLabel('Name').fill('lighthouse');
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('heading', { name: 'lighthouse' }).waitFor();
    const sleepOf = async () => (await account.ok('GET', agentPath.split('/agents/')[0] ?? '')).sleep;
    await page.getByLabel('It falls asleep').selectOption('After an hour');
    await eventually(async () => expect(await sleepOf()).toMatchObject({ afterMs: 3_600_000, state: 'awake' }));
    await page.getByLabel('It falls asleep').selectOption('Never');
    await eventually(async () => expect(await sleepOf()).toBeNull());
    await follow('Instances');
    await page.getByRole('link', { name: 'lighthouse', exact: true }).click();
  });

  test('everything of the account is downloaded as one archive', async () => {
    const { page, account } = console();
    await page.getByRole('link', { name: 'Test', exact: true }).click();
    await page.getByText(account.accountId).waitFor();
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Download everything' }).click(),
    ]);
    expect(download.suggestedFilename()).toBe('thermidora-account.tar.gz');
    // As a gzip file begins.
    expect((await readFile(await download.path())).subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
  });

  test('a secret is stored and never shown', async () => {
    const { page, agentPath, goTo } = console();
    await goTo(`${agentPath.split('/agents/')[0]}/secrets`);
    await page.getByLabel('Name').fill('API_TOKEN');
    await page.getByLabel('Value').fill('the-value-of-it');
    await page.getByRole('button', { name: 'Store' }).click();
    await page.getByText('API_TOKEN', { exact: true }).waitFor();
    expect(await page.content()).not.toContain('the-value-of-it');
  });
}
