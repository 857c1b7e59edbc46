import { expect, test } from '@jest/globals';
import { Client } from 'pg';
import { eventually } from '../../support/eventually.ts';
import type { ConsoleUnderTest } from './console-under-test.ts';

/** What an operator sees and does. */
export function operatorTests(console: () => ConsoleUnderTest): void {
  test('an operator sees all instances, and adds credit to an account', async () => {
    const { stack, account, page, agentPath, goTo } = console();
    await stack.operator.ok('PATCH', `/admin/accounts/${account.accountId}`, { operator: true });
    await goTo('/');
    await page.getByRole('navigation', { name: 'Console' }).getByRole('link', { name: 'Operator' }).click();
    const workflow = page.getByRole('link', { name: 'Its runs in Temporal' });
    expect(await workflow.getAttribute('href')).toBe(
      `http://temporal.example/namespaces/${stack.temporal.namespace}/workflows/instance%2F${agentPath.split('/')[2]}`,
    );
    await page.getByRole('link', { name: 'Accounts' }).click();
    await page.getByLabel('Credit for Test in USD').fill('12.50');
    await page.getByRole('button', { name: 'Add credit' }).click();
    await eventually(async () => expect((await account.ok('GET', '/auth/me')).balanceUsd).toBeGreaterThan(62));
    await page.getByRole('link', { name: 'Audit', exact: true }).click();
    await page.getByText('grants.create').waitFor();
  });

  test('an operator makes an invite and another operator, and sees which parts work', async () => {
    const { stack, page, agentPath, follow } = console();
    const another = await stack.newAccount();
    await follow('Accounts');
    await page.getByRole('button', { name: 'Create an invite' }).click();
    await page.getByLabel('For how many accounts').fill('3');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    const code = await page.getByRole('dialog').locator('code').innerText();
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByText('0 of 3 used').waitFor();
    const { invites } = await stack.operator.ok('GET', '/admin/invites?limit=1');
    expect(invites).toMatchObject([{ code, uses: 3 }]);
    await page.getByLabel('Email', { exact: true }).fill((await another.ok('GET', '/auth/me')).email);
    await page.getByRole('button', { name: 'Find' }).click();
    const row = page.getByRole('listitem').filter({ hasText: another.accountId });
    await row.getByRole('button', { name: 'Make an operator' }).click();
    await row.getByRole('button', { name: 'No operator any more' }).waitFor();
    expect(await another.ok('GET', '/auth/me')).toMatchObject({ operator: true });
    await follow('Health');
    for (const part of ['API', 'Workers', 'Database', 'Temporal'])
      await page.getByRole('listitem').filter({ hasText: part }).getByText('works', { exact: true }).first().waitFor();
    await page.getByText('Turns under way').waitFor();
    await follow('Runtimes');
    await page
      .getByRole('listitem')
      .filter({ hasText: agentPath.split('/')[2]! })
      .first()
      .waitFor();
  });

  test('an operator gives storage without an owner to an account', async () => {
    const { stack, account, page, follow } = console();
    const runtimeId = 'run_00000000000000000000';
    const client = new Client({ connectionString: stack.databaseUrl });
    await client.connect();
    await client.query('insert into unowned_runtimes (runtime_id, found_at, quarantined_at) values ($1, now(), now())', [
      runtimeId,
    ]);
    await client.end();
    await follow('Quarantine');
    await page.getByRole('button', { name: 'Give to an account' }).click();
    await page.getByLabel('Account', { exact: true }).fill(account.accountId);
    await page.getByLabel('Name of the instance').fill('from the quarantine');
    await page.getByRole('button', { name: 'Restore' }).click();
    await page.getByText('All storage has an owner').waitFor();
    const { instances } = await account.ok('GET', '/instances');
    expect(instances).toContainEqual(expect.objectContaining({ name: 'from the quarantine', status: 'stopped' }));
  });
}
