import { expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import type { ConsoleUnderTest } from './console-under-test.ts';

/** What an operator sees and does. */
export function operatorTests(console: () => ConsoleUnderTest): void {
  test('an operator sees all instances, and adds credit to an account', async () => {
    const { stack, account, page, agentPath, goTo } = console();
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
}
