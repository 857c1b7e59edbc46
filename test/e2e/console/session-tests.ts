import { expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import type { StackUnderTest } from '../../support/stack-under-test.ts';
import type { ConsoleUnderTest } from './console-under-test.ts';

/** The code of the newest mail, once so many mails with codes were sent. */
function newestCode(stack: StackUnderTest, mails: number): Promise<string> {
  return eventually(async () => {
    const codes = [...(await stack.logOf('api')).matchAll(/(\d{6}) is your Thermidora login code/g)].map(([, code]) => code);
    const code = codes[mails - 1];
    if (code === undefined) throw new Error('no mail was sent');
    return code;
  });
}

/** How a session begins and ends. */
export function sessionTests(console: () => ConsoleUnderTest): void {
  test('signing out ends the session, and a code by mail begins another one', async () => {
    const { stack, account, page, goTo, screenshot } = console();
    await goTo('/');
    await page.getByRole('button', { name: 'Sign out everywhere' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await screenshot('sign-in-desktop-dark');
    const { email } = await account.ok('GET', '/auth/me');
    await page.getByLabel('Email').fill(email);
    await page.getByRole('button', { name: 'Send the code' }).click();
    const code = await newestCode(stack, 1);
    await page.getByLabel('Code').fill(code);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Instances' }).waitFor();
  });

  test('a link that was used before says what to do', async () => {
    const { stack, account, page } = console();
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

  test('an account is deleted with a code by mail, and its session and keys end with it', async () => {
    const { stack, page, goTo } = console();
    const account = await stack.newAccount();
    const { path } = await account.ok('POST', '/auth/links');
    await page.context().clearCookies();
    await page.goto('about:blank');
    await page.goto(`${stack.url}${path}`);
    await page.getByRole('heading', { name: 'Instances' }).waitFor();
    await goTo('/account');
    await page.getByRole('button', { name: 'Delete the account' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Send the code' }).click();
    await dialog.getByLabel('Code').fill('000000');
    await dialog.getByRole('button', { name: 'Delete everything' }).click();
    await dialog.getByRole('alert').waitFor();
    expect((await account.call('GET', '/instances')).status).toBe(200);
    await dialog.getByLabel('Code').fill(await newestCode(stack, 2));
    await dialog.getByRole('button', { name: 'Delete everything' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    expect((await account.call('GET', '/instances')).status).toBe(401);
  });
}
