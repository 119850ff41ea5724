import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { ids, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { follow as followIn, kept, untilCount } from './client-page.ts';
import { findChromium, type Site, startBrowser, startSite } from './pages.ts';

/* The client library in a real browser. Each test asserts on the exact list of events. */

const executable = findChromium();

describe.skipIf(executable === undefined)('client library (needs Chromium)', () => {
  let browser: Browser;
  let context: BrowserContext;
  let site: Site;
  let system: System;
  let token = '';

  beforeAll(async () => {
    site = await startSite();
    [browser, system, token] = await Promise.all([
      startBrowser(executable ?? ''),
      startSystem({
        env: {
          TIDEMARK_ALLOWED_ORIGINS: site.origin,
          TIDEMARK_GATEWAY_HEARTBEAT_MS: '500',
        },
      }),
      makeToken('subscribe:>', 'alice'),
    ]);
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([system?.stop(), site?.stop()]);
  });
  beforeEach(async () => {
    context = await browser.newContext();
  });
  afterEach(() => context.close());

  const store = (topic: string, first: number, last: number) =>
    system.publisher.storeAll(series(topic, first, last));

  async function open(): Promise<Page> {
    const page = await context.newPage();
    await page.goto(site.origin);
    return page;
  }

  const follow = (page: Page, topic: string, after: string, keep = false) =>
    followIn(page, { url: system.gateway.url, token, topic, after, keep });

  // A task lasts longer on a machine that is busy with other things: one quiet time of four is enough.
  test('10,000 missed events: come in order, and block the page for no 50 ms', {
    retry: 3,
  }, async () => {
    await store('missed', 1, 10_000);
    const page = await open();
    await follow(page, 'missed', 'earliest');
    expect(await untilCount(page, 10_000)).toEqual(ids(1, 10_000));
    expect((await kept(page)).longest).toBeLessThan(50);
  });

  test('gateway that restarts while the page is offline: gives what was missed at once when it is online', async () => {
    const page = await open();
    await follow(page, 'offline', 'latest');
    await store('offline', 1, 3);
    await untilCount(page, 3);
    await context.setOffline(true);
    await system.gateway.restart();
    await store('offline', 4, 20);
    await until(async () => (await kept(page)).states.at(-1) === 'offline');
    await context.setOffline(false);
    expect(await untilCount(page, 20)).toEqual(ids(1, 20));
  });

  test('reload in the middle of a catch-up: goes on at the stored cursor', async () => {
    await store('reload', 1, 10_000);
    const page = await open();
    await follow(page, 'reload', 'earliest', true);
    await untilCount(page, 500);
    await page.reload();
    await follow(page, 'reload', 'earliest', true);
    expect(await untilCount(page, 10_000)).toEqual(ids(1, 10_000));
  });

  test('two tabs with one store: each gets every event, and the cursor never goes back', async () => {
    const [one, other] = await Promise.all([open(), open()]);
    await follow(one, 'tabs', 'latest', true);
    await follow(other, 'tabs', 'latest', true);
    const cursors = new Set<number>();
    const look = async () => {
      const cursor = await one.evaluate(
        () =>
          (globalThis as unknown as { localStorage: Record<string, string> }).localStorage[
            'tidemark:tabs'
          ],
      );
      cursors.add(Number(cursor?.split('-').at(-1) ?? 0));
    };
    for (let n = 0; n < 20; n++) {
      await store('tabs', n * 50 + 1, n * 50 + 50);
      // The cursor is written ten times a second at most.
      await new Promise((resolve) => setTimeout(resolve, 50));
      await look();
    }
    expect(await untilCount(one, 1000)).toEqual(ids(1, 1000));
    expect(await untilCount(other, 1000)).toEqual(ids(1, 1000));
    expect([...cursors]).toEqual([...cursors].sort((a, b) => a - b));
    expect(cursors.size).toBeGreaterThan(3);
  });
});
