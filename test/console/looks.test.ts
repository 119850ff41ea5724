import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, startBrowser } from '../browser/pages.ts';
import type { System } from '../support/system.ts';
import { until } from '../support/until.ts';
import { type ConsoleOptions, openConsole, operatorToken, startConsoleSystem } from './console.ts';

/* Whether everybody can read and use each page: by axe-core, at each width, in each theme, within the policy of the page. */

const executable = findChromium();

const LOOKS: readonly Required<ConsoleOptions>[] = [
  { scheme: 'light', size: 'wide' },
  { scheme: 'dark', size: 'wide' },
  { scheme: 'light', size: 'phone' },
  { scheme: 'dark', size: 'phone' },
];

describe.skipIf(executable === undefined)('console: looks (needs Chromium)', () => {
  let browser: Browser;
  let system: System;
  let token = '';

  beforeAll(async () => {
    [browser, system, token] = await Promise.all([
      startBrowser(executable ?? ''),
      startConsoleSystem({ gateways: 2 }),
      operatorToken(),
    ]);
    const events = Array.from({ length: 20 }, (_, index) => ({
      id: String(index),
      source: '/looks',
      type: 'paid',
      topic: `orders.${index}`,
      data: { total: index },
    }));
    await system.publisher.storeAll(events);
    const listener = system.listen('websocket', { topics: 'orders.*' });
    await until(() => listener.cursor !== undefined);
  });

  afterAll(async () => {
    await browser?.close();
    await system?.stop();
  });

  test.each(LOOKS)('the way in: $scheme, $size: keeps nobody out', async (look) => {
    const opened = await openConsole(browser, system, undefined, look);
    await opened.page.getByLabel('Token').waitFor();
    expect(await opened.barriers()).toEqual([]);
    expect(opened.complaints).toEqual([]);
    await opened.close();
  });

  test.each(LOOKS)('every page: $scheme, $size: keeps nobody out, and fits', async (look) => {
    const opened = await openConsole(browser, system, token, look);
    const { page } = opened;
    const links = page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link');
    await until(async () => (await links.count()) === 8);
    for (const link of await links.all()) {
      const name = (await link.textContent()) ?? '';
      await link.click();
      await page.getByRole('heading', { name, level: 1, exact: true }).waitFor();
      await until(async () => (await page.locator('main .loading').count()) === 0);
      expect(await opened.barriers(), name).toEqual([]);
      const tooWide = 'document.documentElement.scrollWidth - innerWidth';
      expect(await page.evaluate(tooWide), name).toBeLessThanOrEqual(0);
    }
    expect(opened.complaints).toEqual([]);
    await opened.close();
  });

  test('the theme: chosen with a button: stays, and wins over that of the browser', async () => {
    const { page, close } = await openConsole(browser, system, token, { scheme: 'light' });
    const background = () =>
      page.evaluate('getComputedStyle(document.documentElement).backgroundColor');
    const bright = await background();
    await page.getByRole('button', { name: 'Theme: system' }).click();
    await page.getByRole('button', { name: 'Theme: light' }).click();
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
    expect(await background()).not.toBe(bright);
    await page.reload();
    await page.getByRole('button', { name: 'Theme: dark' }).waitFor();
    expect(await background()).not.toBe(bright);
    await close();
  });
});
