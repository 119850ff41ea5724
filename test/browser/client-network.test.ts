import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { HAS_NGINX, startNginx } from '../support/nginx.ts';
import { makeToken } from '../support/services.ts';
import { ids, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { type Following, follow, kept, untilCount } from './client-page.ts';
import { findChromium, type Site, startBrowser, startSite } from './pages.ts';

/*
 * A proxy that is mended, and a page that is slow. Each test asserts on the exact list of events.
 */

const executable = findChromium();

/** For so long the library uses SSE before WebSocket has another chance. */
const SSE_MS = 5 * 60_000;

describe.skipIf(executable === undefined)('client library on the way (needs Chromium)', () => {
  let browser: Browser;
  let site: Site;
  let system: System;
  const cleanUp: (() => unknown)[] = [];

  beforeAll(async () => {
    site = await startSite({ '/token': () => makeToken('subscribe:>', 'alice') });
    const env = { TIDEMARK_ALLOWED_ORIGINS: site.origin };
    [browser, system] = await Promise.all([startBrowser(executable ?? ''), startSystem({ env })]);
  });
  afterEach(async () => {
    await Promise.all(cleanUp.splice(0).map((run) => run()));
  });
  afterAll(async () => {
    await browser?.close();
    await Promise.all([system?.stop(), site?.stop()]);
  });

  const store = (topic: string, first: number, last: number) =>
    system.publisher.storeAll(series(topic, first, last));

  async function newPage(): Promise<Page> {
    const context = await browser.newContext();
    cleanUp.push(() => context.close());
    const page = await context.newPage();
    await page.goto(site.origin);
    return page;
  }

  async function following(topic: string, more: Partial<Following> = {}): Promise<Page> {
    const page = await newPage();
    await follow(page, { url: system.gateway.url, topic, ...more });
    return page;
  }

  test.skipIf(!HAS_NGINX)(
    'proxy that refuses WebSocket and is mended (needs nginx): WebSocket is used again after five minutes',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'tidemark-mended-'));
      // The workers of nginx may be of another user.
      chmodSync(folder, 0o755);
      const broken = join(folder, 'broken');
      writeFileSync(broken, '');
      const location = 'location = /v1/ws {';
      const proxy = await startNginx(system, {
        changes: [[location, `${location} if (-f ${broken}) { return 400; }`]],
      });
      cleanUp.push(proxy.stop, () => rmSync(folder, { recursive: true }));
      const page = await newPage();
      await page.clock.install();
      await follow(page, { url: proxy.url, topic: 'mended' });
      await store('mended', 1, 20);
      await untilCount(page, 20);
      expect(await kept(page)).toMatchObject({ sockets: 2, streams: 1 });
      // It tries, and is refused once more.
      await page.clock.fastForward(SSE_MS);
      await store('mended', 21, 40);
      await untilCount(page, 40);
      expect(await kept(page)).toMatchObject({ sockets: 3, streams: 2 });
      rmSync(broken);
      await page.clock.fastForward(SSE_MS);
      await until(async () => (await kept(page)).sockets === 4, 'a WebSocket');
      await store('mended', 41, 60);
      expect(await untilCount(page, 60)).toEqual(ids(1, 60));
      expect(await kept(page)).toMatchObject({ sockets: 4, streams: 2 });
    },
  );

  test('page that is slow: leaves the subscription while too much waits, and has every event once', async () => {
    await store('slow', 1, 2000);
    const page = await following('slow', { after: 'earliest', takesMs: 1 });
    await untilCount(page, 500);
    await store('slow', 2001, 2100);
    expect(await untilCount(page, 2100, 25_000)).toEqual(ids(1, 2100));
    const { left, sockets } = await kept(page);
    expect(left).toBeGreaterThan(0);
    expect(sockets).toBe(1);
  });
});
