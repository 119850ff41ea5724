import { setTimeout as sleep } from 'node:timers/promises';
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type Relay, startRelay } from '../support/relay.ts';
import { makeToken, type Service } from '../support/services.ts';
import { ids, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { follow, kept, untilCount } from './client-page.ts';
import { findChromium, type Site, startSite } from './pages.ts';
import { type PlainChromium, startPlainChromium } from './plain-chromium.ts';

/* Pages that are hidden, frozen, left and come back to. Each test asserts on the exact list of events. */

const executable = findChromium();

const HEARTBEAT_MS = 500;
/** Longer than the silence after which a link is given up. */
const STOPPED_MS = 8 * HEARTBEAT_MS;
/** For a new connection, with the pause before it. */
const BACK_MS = 3000;
/** The library asks a link that it doubts, and waits for so long. */
const PROBE_MS = 5000;

const TRANSPORTS: [string, (page: Page) => Promise<unknown>][] = [
  ['WebSocket', async () => undefined],
  ['SSE', (page) => page.addInitScript('delete globalThis.WebSocket')],
];

describe.skipIf(executable === undefined)('client library in a page (needs Chromium)', () => {
  let chromium: PlainChromium;
  let context: BrowserContext;
  let site: Site;
  let system: System;
  /** With heartbeats so often that silence is noticed within seconds; the other has them every 15 s. */
  let quick: Service;
  const relays: Relay[] = [];
  const pages: Page[] = [];

  beforeAll(async () => {
    site = await startSite({ '/token': () => makeToken('subscribe:>', 'alice') });
    const env = { TIDEMARK_ALLOWED_ORIGINS: site.origin };
    [chromium, system] = await Promise.all([
      startPlainChromium(executable ?? ''),
      startSystem({ env }),
    ]);
    context = chromium.context;
    quick = await system.startGateway({ TIDEMARK_GATEWAY_HEARTBEAT_MS: String(HEARTBEAT_MS) });
  });
  afterEach(async () => {
    await Promise.all(pages.splice(0).map((page) => page.close()));
    await Promise.all(relays.splice(0).map((relay) => relay.stop()));
  });
  afterAll(async () => {
    await chromium?.close();
    await Promise.all([system?.stop(), site?.stop()]);
  });

  const store = (topic: string, first: number, last: number) =>
    system.publisher.storeAll(series(topic, first, last));

  async function newPage(): Promise<Page> {
    const page = await context.newPage();
    pages.push(page);
    return page;
  }

  async function behindRelay(
    topic: string,
    gateway: Service,
    prepare?: (page: Page) => Promise<unknown>,
  ): Promise<{ page: Page; relay: Relay }> {
    const relay = await startRelay(gateway.port);
    relays.push(relay);
    const page = await newPage();
    await prepare?.(page);
    await page.goto(site.origin);
    // A connection on which the library was loaded may stay open.
    await follow(page, { url: relay.url, from: gateway.url, topic });
    return { page, relay };
  }

  const untilVisibility = (page: Page, state: string) =>
    until(async () => (await page.evaluate('document.visibilityState')) === state, state);

  async function setFrozen(page: Page, isFrozen: boolean): Promise<void> {
    const session = await context.newCDPSession(page);
    const state = isFrozen ? 'frozen' : 'active';
    await session.send('Page.setWebLifecycleState', { state });
  }

  /** In which no timer and no message of the page has its turn. */
  const block = (page: Page) =>
    page.evaluate((ms) => {
      const end = performance.now() + ms;
      while (performance.now() < end);
    }, STOPPED_MS);

  const untilAlone = (relay: Relay) => until(() => relay.open === 0, 'the end of its connections');

  /** To the page as it was left: `goBack` of playwright waits for a page that loads. */
  async function goBack(page: Page): Promise<void> {
    await page.evaluate('history.back()').catch(() => undefined);
    const restored = () => page.evaluate('kept.restored').catch(() => undefined);
    await until(async () => (await restored()) === 1, 'the page from the cache');
  }

  test('hidden page: has events as they come, on the connection that it had', async () => {
    const { page } = await behindRelay('hidden', system.gateway);
    await newPage();
    await untilVisibility(page, 'hidden');
    await store('hidden', 1, 20);
    expect(await untilCount(page, 20)).toEqual(ids(1, 20));
    await page.bringToFront();
    await untilVisibility(page, 'visible');
    await sleep(PROBE_MS + 1000);
    await store('hidden', 21, 22);
    expect(await untilCount(page, 22)).toEqual(ids(1, 22));
    expect((await kept(page)).sockets).toBe(1);
  });

  test('hidden page whose connection died without a word: finds out when it is looked at', async () => {
    const { page, relay } = await behindRelay('died', system.gateway);
    await newPage();
    await untilVisibility(page, 'hidden');
    relay.silence();
    await store('died', 1, 20);
    await sleep(1000);
    expect(await kept(page)).toMatchObject({ got: [], sockets: 1 });
    await page.bringToFront();
    // Without the question it would take two heartbeats, 30 s.
    expect(await untilCount(page, 20, PROBE_MS + BACK_MS)).toEqual(ids(1, 20));
    expect((await kept(page)).sockets).toBe(2);
  });

  test('page that is blocked for long: keeps its connection, where that lives', async () => {
    const { page } = await behindRelay('blocked', quick);
    await Promise.all([block(page), store('blocked', 1, 20)]);
    await store('blocked', 21, 25);
    expect(await untilCount(page, 25)).toEqual(ids(1, 25));
    await sleep(4 * HEARTBEAT_MS);
    const { sockets, stoodMs, states } = await kept(page);
    expect(stoodMs).toBeGreaterThanOrEqual(STOPPED_MS);
    expect(sockets).toBe(1);
    expect(states).not.toContain('offline');
  });

  test('page that is blocked while its connection dies: finds out when it goes on', async () => {
    const { page, relay } = await behindRelay('dies', quick);
    relay.silence();
    await Promise.all([block(page), store('dies', 1, 20)]);
    expect(await untilCount(page, 20, 8 * HEARTBEAT_MS)).toEqual(ids(1, 20));
    expect((await kept(page)).sockets).toBe(2);
  });

  test.each(TRANSPORTS)(
    'page that is frozen, over %s: holds no connection, and has what it missed when it goes on',
    async (transport, prepare) => {
      const topic = `frozen-${transport}`;
      const { page, relay } = await behindRelay(topic, quick, prepare);
      await store(topic, 1, 3);
      await untilCount(page, 3);
      await setFrozen(page, true);
      await untilAlone(relay);
      await store(topic, 4, 20);
      await sleep(STOPPED_MS);
      await setFrozen(page, false);
      await store(topic, 21, 25);
      expect(await untilCount(page, 25, BACK_MS)).toEqual(ids(1, 25));
      const { sockets, streams, stoodMs } = await kept(page);
      expect(stoodMs).toBeGreaterThanOrEqual(STOPPED_MS);
      expect(sockets + streams).toBe(2);
    },
  );

  test.each(TRANSPORTS)(
    'page that is left, over %s: holds no connection in the back/forward cache, and has what it missed when it comes back',
    async (transport, prepare) => {
      const topic = `left-${transport}`;
      const { page, relay } = await behindRelay(topic, system.gateway, prepare);
      await store(topic, 1, 3);
      await untilCount(page, 3);
      await page.goto(site.origin.replace('127.0.0.1', 'localhost'));
      await untilAlone(relay);
      await store(topic, 4, 20);
      await goBack(page);
      expect(await untilCount(page, 20, BACK_MS)).toEqual(ids(1, 20));
      await store(topic, 21, 25);
      expect(await untilCount(page, 25)).toEqual(ids(1, 25));
      const { sockets, streams } = await kept(page);
      expect(sockets + streams).toBe(2);
    },
  );
});
