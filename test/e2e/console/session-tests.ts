import { expect, test } from '@jest/globals';
import { eventually } from '../../support/eventually.ts';
import type { ConsoleUnderTest } from './console-under-test.ts';

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
}
