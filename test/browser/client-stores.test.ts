import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { ids, type System, sequenceOf, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { findChromium, type Site, startBrowser } from './pages.ts';

/* Cursors in IndexedDB, in a real browser: a reload, several tabs, a worker, and a database that goes away. */

const executable = findChromium();
const MODULES = fileURLToPath(new URL('../../libs/client/dist/', import.meta.url));

/** What the code in a page has. It is text there, so that its `import` stays one. */
const FOLLOW = `
  globalThis.follow = async (url, token, topic, after, pauseMs) => {
    const { connect } = await import('/client/index.js');
    const { indexedDbStore } = await import('/client/stores/indexed-db.js');
    const store = indexedDbStore();
    globalThis.got = [];
    globalThis.stored = () => store.get(topic);
    const tidemark = connect({ url, token, store });
    const subscription = tidemark.subscribe(topic, { after, name: topic });
    subscription.each(async ({ id }) => {
      globalThis.got.push(id);
      if (pauseMs > 0) await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }).catch((error) => globalThis.got.push(String(error)));
    await subscription.ready;
  };
`;

/** A page, with the library as modules. */
async function startLibrarySite(): Promise<Site> {
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://site');
    if (!pathname.startsWith('/client/')) {
      response.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>');
      return;
    }
    const text = await readFile(MODULES + pathname.slice('/client/'.length), 'utf8');
    response.setHeader('content-type', 'text/javascript').end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe.skipIf(executable === undefined)('cursors in IndexedDB (needs Chromium)', () => {
  let browser: Browser;
  let context: BrowserContext;
  let site: Site;
  let system: System;
  let token = '';

  beforeAll(async () => {
    site = await startLibrarySite();
    const env = {
      TIDEMARK_ALLOWED_ORIGINS: site.origin,
      TIDEMARK_GATEWAY_HEARTBEAT_MS: '300',
    };
    [browser, system, token] = await Promise.all([
      startBrowser(executable ?? ''),
      startSystem({ env }),
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

  async function follow(page: Page, topic: string, after: string, pauseMs = 0): Promise<void> {
    await page.evaluate(FOLLOW);
    const given = [system.gateway.url, token, topic, after, pauseMs];
    await page.evaluate(`follow(${given.map((one) => JSON.stringify(one)).join()})`);
  }

  const got = (page: Page) => page.evaluate('got') as Promise<string[]>;
  const cursor = (page: Page) => page.evaluate('stored()') as Promise<string | undefined>;

  async function untilCount(page: Page, count: number): Promise<string[]> {
    await until(async () => (await got(page)).length >= count, `${count} events`);
    return got(page);
  }

  test('reload in the middle of a catch-up: goes on at the cursor, and only what was in hand or not yet written comes again', async () => {
    await store('reload', 1, 3000);
    const page = await open();
    await follow(page, 'reload', 'earliest', 1);
    await untilCount(page, 300);
    await until(async () => (await cursor(page)) !== undefined);
    const before = sequenceOf((await cursor(page)) ?? '');
    const seen = (await got(page)).length;
    await page.reload();
    await follow(page, 'reload', 'earliest');
    await until(async () => (await got(page)).at(-1) === '3000');
    const after = await got(page);
    const first = Number(after[0]);
    expect(after).toEqual(ids(first, 3000));
    // Never further than what the consumer had finished, and never from the beginning.
    expect(first).toBeGreaterThan(1);
    const stored = await system.publisher.storeAll(series('reload', 3001, 3001));
    const offset = sequenceOf(stored[0]?.cursor ?? '') - 3001;
    expect(first).toBeGreaterThanOrEqual(before - offset + 1);
    expect(seen).toBeGreaterThanOrEqual(before - offset);
  });

  test('page that is idle: a reload goes on behind what did not match', async () => {
    const page = await open();
    await follow(page, 'idle', 'latest');
    await store('idle', 1, 2);
    await untilCount(page, 2);
    const others = await store('others', 1, 5);
    await until(async () => (await cursor(page)) === others.at(-1)?.cursor);
    await page.reload();
    await store('idle', 3, 4);
    await follow(page, 'idle', 'earliest');
    expect(await untilCount(page, 2)).toEqual(['3', '4']);
  });

  test('two tabs, one of them slow: each gets every event, and the cursor is at the end in the end', async () => {
    const [fast, slow] = await Promise.all([open(), open()]);
    await follow(fast, 'tabs', 'latest');
    await follow(slow, 'tabs', 'latest', 2);
    const seen: number[] = [];
    for (let n = 0; n < 20; n++) {
      await store('tabs', n * 50 + 1, n * 50 + 50);
      const found = await cursor(fast);
      if (found) seen.push(sequenceOf(found));
    }
    const [last] = (await store('tabs', 1001, 1001)).slice(-1);
    expect(await untilCount(fast, 1001)).toEqual(ids(1, 1001));
    expect(await untilCount(slow, 1001)).toEqual(ids(1, 1001));
    await until(async () => (await cursor(slow)) === last?.cursor);
    expect(seen.length).toBeGreaterThan(3);
    expect(seen).toEqual(seen.toSorted((left, right) => left - right));
    await fast.close();
    // The slow one has not taken it back.
    const third = await open();
    await follow(third, 'tabs', 'earliest');
    await store('tabs', 1002, 1003);
    expect(await untilCount(third, 2)).toEqual(['1002', '1003']);
  });

  test('worker, which has no localStorage: keeps its cursor like a page', async () => {
    const page = await open();
    const work = `
      globalThis.work = (url, token, topic) => new Promise((resolve) => {
        const code = [${JSON.stringify(FOLLOW.replaceAll("'/client/", "'ORIGIN/client/"))}.replaceAll('ORIGIN', location.origin),
          'follow(' + [url, token, topic, 'earliest', 0].map((one) => JSON.stringify(one)).join() + ')',
          'setInterval(async () => postMessage({ got, cursor: await stored() }), 20)'].join(';');
        const worker = new Worker(URL.createObjectURL(new Blob([code], { type: 'text/javascript' })));
        globalThis.told = { got: [] };
        worker.onmessage = ({ data }) => { globalThis.told = data; };
        globalThis.worker = worker;
        resolve();
      });
    `;
    const told = () => page.evaluate('told') as Promise<{ got: string[]; cursor?: string }>;
    const begin = async () => {
      await page.evaluate(work);
      const given = [system.gateway.url, token, 'worker'].map((one) => JSON.stringify(one));
      await page.evaluate(`work(${given.join()})`);
    };
    const stored = await store('worker', 1, 5);
    await begin();
    await until(async () => (await told()).cursor === stored[4]?.cursor);
    expect((await told()).got).toEqual(ids(1, 5));
    await page.evaluate('worker.terminate()');
    await store('worker', 6, 8);
    await begin();
    await until(async () => (await told()).got.length >= 3);
    expect((await told()).got).toEqual(ids(6, 8));
  });

  test('database that another tab deletes: events come all the same, and later cursors are stored', async () => {
    const [page, other] = await Promise.all([open(), open()]);
    await follow(page, 'deleted', 'latest');
    await store('deleted', 1, 3);
    await untilCount(page, 3);
    await until(async () => (await cursor(page)) !== undefined);
    const deleted = await other.evaluate(`Promise.race([
      new Promise((resolve, reject) => {
        const request = indexedDB.deleteDatabase('tidemark');
        request.onsuccess = () => resolve('deleted');
        request.onerror = () => reject(request.error);
      }),
      new Promise((resolve) => setTimeout(resolve, 3000, 'blocked')),
    ])`);
    expect(deleted).toBe('deleted');
    const stored = await store('deleted', 4, 6);
    expect(await untilCount(page, 6)).toEqual(ids(1, 6));
    await until(async () => (await cursor(page)) === stored[2]?.cursor);
  });
});
