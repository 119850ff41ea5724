import { beforeAll, describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { operatorToken, startConsoleSystem } from './console.ts';
import { expectFit, LOOKS } from './looks.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* Whether everybody can read and use each page: by axe-core, at each width, in each theme, within the policy of the page. */

describe.skipIf(CHROMIUM === undefined)('console: looks (needs Chromium)', () => {
  const stage = setStage(() => startConsoleSystem({ gateways: 2 }));
  let token = '';

  beforeAll(async () => {
    token = await operatorToken();
    const events = Array.from({ length: 20 }, (_, index) => ({
      id: String(index),
      source: '/looks',
      type: 'paid',
      topic: `orders.${index}`,
      data: { total: index },
    }));
    await stage.system.publisher.storeAll(events);
    const listener = stage.system.listen('websocket', { topics: 'orders.*' });
    await until(() => listener.cursor !== undefined);
  });

  test.each(LOOKS)('the way in: $scheme, $size: keeps nobody out', async (look) => {
    const opened = await stage.open(undefined, look);
    await opened.page.getByLabel('Token').waitFor();
    expect(await opened.barriers()).toEqual([]);
  });

  test.each(LOOKS)('every page: $scheme, $size: keeps nobody out, and fits', async (look) => {
    const opened = await stage.open(token, look);
    const { page } = opened;
    const links = page.getByRole('navigation', { name: 'Pages', exact: true }).getByRole('link');
    await until(async () => (await links.count()) === 8);
    for (const link of await links.all()) {
      const name = (await link.textContent()) ?? '';
      await link.click();
      await page.getByRole('heading', { name, level: 1, exact: true }).waitFor();
      await until(async () => (await page.locator('main .loading').count()) === 0);
      await expectFit(opened, name);
    }
  });

  test('the theme: chosen with a button: stays, and wins over that of the browser', async () => {
    const { page } = await stage.open(token, { scheme: 'light' });
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
  });
});
