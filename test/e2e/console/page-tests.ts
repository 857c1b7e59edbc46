import { describe, expect, test } from '@jest/globals';
import axe from 'axe-core';
import type { ConsoleUnderTest } from './console-under-test.ts';

const SIZES = { desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } };
const SCHEMES = ['light', 'dark'] as const;

/** Every page, at both sizes and in both themes: usable by everybody, and as a picture. */
export function pageTests(console: () => ConsoleUnderTest): void {
  const ofInstance = (tab: string) => `${console().agentPath.split('/agents/')[0]}${tab}`;
  const ofAgent = (tab: string) => `${console().agentPath}${tab}`;
  const pages: [string, () => string][] = [
    ['instances', () => '/'],
    ['instance', () => ofInstance('')],
    ...['skills', 'secrets', 'logs', 'settings'].map((tab): [string, () => string] => [tab, () => ofInstance(`/${tab}`)]),
    ['chat', () => ofAgent('')],
    ...['persona', 'crons'].map((tab): [string, () => string] => [tab, () => ofAgent(`/${tab}`)]),
    ...['events', 'webhooks', 'keys', 'usage', 'budgets', 'account'].map((name): [string, () => string] => [
      name,
      () => `/${name}`,
    ]),
    ...['instances', 'health', 'runtimes', 'accounts', 'models', 'quarantine', 'audit'].map((tab): [string, () => string] => [
      `operator-${tab}`,
      () => `/operator/${tab}`,
    ]),
    ['not-found', () => '/nothing-here'],
  ];

  describe('every page', () => {
    test.each(pages)('%s can be used by everybody, on a phone and a desk, by day and by night', async (name, pathOf) => {
      const { page, goTo, screenshot, strange } = console();
      await goTo(pathOf());
      await page.locator('main h1').waitFor();
      await page.locator('main[aria-busy=false]:not(:has(.loading))').waitFor();
      await page.evaluate(axe.source);
      for (const [size, viewport] of Object.entries(SIZES))
        for (const colorScheme of SCHEMES) {
          await page.setViewportSize(viewport);
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
          await screenshot(`${name}-${size}-${colorScheme}`);
          // By night only the colours differ.
          const rules = colorScheme === 'dark' ? ', runOnly: ["color-contrast"]' : '';
          const found = await page.evaluate<{ violations: { id: string; nodes: { html: string }[] }[] }>(
            `axe.run(document, { resultTypes: ["violations"]${rules} })`,
          );
          const told = found.violations.map(
            ({ id, nodes }) => `${size} ${colorScheme} ${id}: ${nodes.map(({ html }) => html).join(' ')}`,
          );
          expect(told).toEqual([]);
          // Nothing is wider than the screen.
          expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(viewport.width);
        }
      await page.setViewportSize(SIZES.desktop);
      expect(strange).toEqual([]);
    });
  });
}
