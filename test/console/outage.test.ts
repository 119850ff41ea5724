import { describe, expect, test } from 'vitest';
import { until } from '../support/until.ts';
import { operatorToken, startConsoleSystem } from './console.ts';
import { CHROMIUM, setStage } from './stage.ts';

/* What the console says while the gateway is away. */

const LOADED_PAGES =
  "performance.getEntriesByType('resource').filter(({ name }) => /page-[^/]*\\.js$/.test(name)).length";

describe.skipIf(CHROMIUM === undefined)('console: outages (needs Chromium)', () => {
  const stage = setStage(startConsoleSystem);

  test('the gateway is killed: the figures stay, are said to be old, and go on when it is back', async () => {
    const { page } = await stage.open(await operatorToken());
    await page.getByText('Events in', { exact: true }).waitFor();
    await stage.system.gateway.kill('SIGKILL');
    const notice = page.getByText(/These figures are .* old, from .*Trying again/);
    await notice.waitFor();
    expect(await page.getByText('Events in', { exact: true }).isVisible()).toBe(true);
    await stage.system.gateway.restart();
    await notice.waitFor({ state: 'hidden' });
  });

  test('a page: asked for while the gateway is away: says so, and comes when it is back', async () => {
    const { page, go } = await stage.open(await operatorToken());
    // The files of the other pages are loaded early.
    await until(async () => (await page.evaluate<number>(LOADED_PAGES)) === 8);
    await stage.system.gateway.kill('SIGKILL');
    await go('streams');
    await page.getByText('The service cannot be reached.').waitFor();
    await stage.system.gateway.restart();
    await page.getByText('TIDEMARK_EVENTS').waitFor();
  });

  test('the way in: a token given while the gateway is away: opens the console when it is back', async () => {
    const { page } = await stage.open();
    await page.getByLabel('Token').fill(await operatorToken());
    await stage.system.gateway.kill('SIGKILL');
    await page.getByRole('button', { name: 'Open the console' }).click();
    await page.getByText('The service cannot be reached. Trying again.').waitFor();
    await stage.system.gateway.restart();
    await page.getByRole('heading', { name: 'Now', exact: true }).waitFor();
  });

  test('a hidden page: asks for no figures, and goes on when it is shown', async () => {
    const { page } = await stage.open(await operatorToken());
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
  });
});
