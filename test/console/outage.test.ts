import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findChromium, startBrowser } from '../browser/pages.ts';
import type { System } from '../support/system.ts';
import { until } from '../support/until.ts';
import { openConsole, operatorToken, startConsoleSystem } from './console.ts';

/* What the console says while the gateway is away. */

const executable = findChromium();

const LOADED_PAGES =
  "performance.getEntriesByType('resource').filter(({ name }) => /page-[^/]*\\.js$/.test(name)).length";

describe.skipIf(executable === undefined)('console: outages (needs Chromium)', () => {
  let browser: Browser;
  let system: System;

  beforeAll(async () => {
    [browser, system] = await Promise.all([startBrowser(executable ?? ''), startConsoleSystem()]);
  });

  afterAll(async () => {
    await browser?.close();
    await system?.stop();
  });

  test('the gateway is killed: the figures stay, are said to be old, and go on when it is back', async () => {
    const { page, complaints, close } = await openConsole(browser, system, await operatorToken());
    await page.getByText('Events in', { exact: true }).waitFor();
    await system.gateway.kill('SIGKILL');
    const notice = page.getByText(/These figures are .* old, from .*Trying again/);
    await notice.waitFor();
    expect(await page.getByText('Events in', { exact: true }).isVisible()).toBe(true);
    await system.gateway.restart();
    await notice.waitFor({ state: 'hidden' });
    expect(complaints).toEqual([]);
    await close();
  });

  test('a page: asked for while the gateway is away: says so, and comes when it is back', async () => {
    const { page, go, close } = await openConsole(browser, system, await operatorToken());
    // The files of the other pages are loaded early.
    await until(async () => (await page.evaluate<number>(LOADED_PAGES)) === 8);
    await system.gateway.kill('SIGKILL');
    await go('streams');
    await page.getByText('The service cannot be reached.').waitFor();
    await system.gateway.restart();
    await page.getByText('TIDEMARK_EVENTS').waitFor();
    await close();
  });

  test('the way in: a token given while the gateway is away: opens the console when it is back', async () => {
    const { page, close } = await openConsole(browser, system, undefined);
    await page.getByLabel('Token').fill(await operatorToken());
    await system.gateway.kill('SIGKILL');
    await page.getByRole('button', { name: 'Open the console' }).click();
    await page.getByText('The service cannot be reached. Trying again.').waitFor();
    await system.gateway.restart();
    await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
    await close();
  });

  test('a hidden page: asks for no figures, and goes on when it is shown', async () => {
    const { page, close } = await openConsole(browser, system, await operatorToken());
    await page.getByText('Events in', { exact: true }).waitFor();
    const ended: string[] = [];
    const asked: string[] = [];
    page.on('requestfailed', (request) => ended.push(request.url()));
    page.on('request', (request) => asked.push(request.url()));
    const hide = (hidden: boolean) =>
      page.evaluate((hidden) => {
        const { document, Event } = globalThis as unknown as {
          document: { dispatchEvent(event: object): void };
          Event: new (type: string) => object;
        };
        Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
        document.dispatchEvent(new Event('visibilitychange'));
      }, hidden);
    await hide(true);
    await until(() => ended.some((url) => url.endsWith('/v1/admin/stats')));
    expect(asked).toEqual([]);
    await hide(false);
    await until(() => asked.some((url) => url.endsWith('/v1/admin/stats')));
    await close();
  });
});
