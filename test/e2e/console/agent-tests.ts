import { expect, test } from '@jest/globals';
import type { ConsoleUnderTest } from './console-under-test.ts';

/** What an agent is, and what it does by the clock. */
export function agentTests(console: () => ConsoleUnderTest): void {
  test('the persona of the agent is edited with a preview, and the agent has it', async () => {
    const { account, page, agentPath, goTo } = console();
    await goTo(`${agentPath}/persona`);
    await page.getByRole('textbox', { name: 'SOUL.md' }).fill('# A lighthouse keeper');
    await page.getByRole('region', { name: 'Preview of SOUL.md' }).getByText('A lighthouse keeper', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Saved.', { exact: true }).waitFor();
    const agent = await account.ok('GET', agentPath);
    expect(agent.files['SOUL.md']).toBe('# A lighthouse keeper');
  });

  test('a cron job is made, and its result appears among the events by itself', async () => {
    const { account, page, agentPath, goTo } = console();
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
}
