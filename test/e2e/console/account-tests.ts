import { expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import { startWebhookReceiver } from '../../support/webhook-receiver.ts';
import type { ConsoleUnderTest } from './console-under-test.ts';

/** Webhooks, keys and secrets of a customer. */
export function accountTests(console: () => ConsoleUnderTest): void {
  test('a webhook gets a test, and the page shows what its receiver answered', async () => {
    const { page, goTo } = console();
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
    const { stack, page, goTo } = console();
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
    const { page, agentPath, goTo } = console();
    await goTo(`${agentPath.split('/agents/')[0]}/secrets`);
    await page.getByLabel('Name').fill('API_TOKEN');
    await page.getByLabel('Value').fill('the-value-of-it');
    await page.getByRole('button', { name: 'Store' }).click();
    await page.getByText('API_TOKEN', { exact: true }).waitFor();
    expect(await page.content()).not.toContain('the-value-of-it');
  });
}
