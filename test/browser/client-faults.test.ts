import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import puppeteer, { type SupportedBrowser } from 'puppeteer-core';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { revokeUser } from '../support/access.ts';
import { HAS_NGINX, type Nginx, type NginxOptions, startNginx } from '../support/nginx.ts';
import { startRelay } from '../support/relay.ts';
import { makeToken } from '../support/services.ts';
import { ids, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';
import { type Following, follow, kept, logInAgain, type Tab, untilCount } from './client-page.ts';
import { findChromium, findFirefox, type Site, startSite } from './pages.ts';

/*
 * The client library in Chromium and, in npm test -- --all, in Firefox, while tokens expire, gateways are killed and a proxy breaks WebSocket. Each
 * test asserts on the exact list of events.
 */

interface Opened {
  /** A page of its own storage, or one that shares that of the others. */
  newTab(shared?: boolean): Promise<Tab>;
  close(): Promise<void>;
}

/** By WebDriver BiDi for Firefox. Unlike playwright, it leaves a tab hidden that another one is in front of. */
async function openBrowser(browser: SupportedBrowser, executablePath: string): Promise<Opened> {
  const args = browser === 'chrome' ? ['--no-sandbox'] : [];
  const opened = await puppeteer.launch({ browser, executablePath, headless: true, args });
  return {
    newTab: async (shared) => {
      const context = shared ? opened.defaultBrowserContext() : await opened.createBrowserContext();
      // It does what `Tab` says; its types say it otherwise.
      return (await context.newPage()) as unknown as Tab;
    },
    close: () => opened.close(),
  };
}

const ALL = process.env.ALL_TESTS === 'yes';

const BROWSERS = [
  { name: 'Chromium', browser: 'chrome', executable: findChromium() },
  { name: 'Firefox', browser: 'firefox', executable: ALL ? findFirefox() : undefined },
] as const;

/** The part of nginx.conf that passes WebSocket on. */
const WEB_SOCKET = /location = \/v1\/ws \{[^}]*\}/;

describe.each(BROWSERS)('client library in $name', ({ browser: name, executable }) => {
  describe.skipIf(executable === undefined)('(needs it, and Firefox npm test -- --all)', () => {
    let browser: Opened;
    let site: Site;
    let system: System;
    const issued: string[] = [];
    /** What the page is told when it asks for a token. */
    let issue = () => makeToken('subscribe:>', 'alice');
    const proxies: Nginx[] = [];
    const holes: Server[] = [];

    beforeAll(async () => {
      site = await startSite({
        '/token': async () => {
          const token = await issue();
          issued.push(token);
          return token;
        },
      });
      const env = {
        TIDEMARK_ALLOWED_ORIGINS: site.origin,
        TIDEMARK_GATEWAY_HEARTBEAT_MS: '500',
      };
      [browser, system] = await Promise.all([
        openBrowser(name, executable ?? ''),
        startSystem({ env }),
      ]);
    });
    afterEach(async () => {
      issue = () => makeToken('subscribe:>', 'alice');
      issued.length = 0;
      await Promise.all(proxies.splice(0).map((proxy) => proxy.stop()));
      for (const hole of holes.splice(0)) hole.close();
    });
    afterAll(async () => {
      await browser?.close();
      await Promise.all([system?.stop(), site?.stop()]);
    });

    const store = (topic: string, first: number, last: number) =>
      system.publisher.storeAll(series(topic, first, last));

    async function followed(topic: string, more: Partial<Following> = {}): Promise<Tab> {
      const tab = await browser.newTab(more.keep);
      await tab.goto(site.origin);
      const { url } = system.gateway;
      await follow(tab, { url, topic, after: 'latest', token: '/token', ...more });
      return tab;
    }

    async function proxied(changes: NginxOptions['changes']): Promise<string> {
      const proxy = await startNginx(system, { changes: changes ?? [] });
      proxies.push(proxy);
      return proxy.url;
    }

    const states = async (tab: Tab) => (await kept(tab)).states;

    test('10,000 missed events: come in order, and the page goes on all the time', {
      retry: 2,
    }, async () => {
      await store('missed', 1, 10_000);
      const tab = await followed('missed', { after: 'earliest' });
      expect(await untilCount(tab, 10_000)).toEqual(ids(1, 10_000));
      const { longest, stoodMs } = await kept(tab);
      expect(longest).toBeLessThan(50);
      // Only Chromium tells how long its tasks are; a timer also waits for the garbage collector and the machine.
      expect(stoodMs).toBeLessThan(400);
    });

    test('tab that is hidden: keeps its connection, and comes back from a dead one', async () => {
      const tab = await followed('hidden', { keep: true });
      const front = await browser.newTab(true);
      await front.bringToFront();
      const visibility = () =>
        tab.evaluate(
          () =>
            (globalThis as unknown as { document: { visibilityState: string } }).document
              .visibilityState,
        );
      expect(await visibility()).toBe('hidden');
      // Browsers let timers of such a page fire once a second, which is less often than heartbeats come.
      for (let n = 0; n < 8; n++) {
        await store('hidden', n * 5 + 1, n * 5 + 5);
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      expect(await untilCount(tab, 40)).toEqual(ids(1, 40));
      expect((await kept(tab)).sockets).toBe(1);
      await system.gateway.kill('SIGKILL');
      await store('hidden', 41, 60);
      await system.gateway.restart();
      await tab.bringToFront();
      expect(await visibility()).toBe('visible');
      expect(await untilCount(tab, 60)).toEqual(ids(1, 60));
    });

    test('gateway that is killed: the page has what it missed, once', async () => {
      const tab = await followed('killed');
      await store('killed', 1, 5);
      await untilCount(tab, 5);
      await system.gateway.kill('SIGKILL');
      await store('killed', 6, 50);
      await until(async () => (await states(tab)).at(-1) === 'offline');
      await system.gateway.restart();
      await store('killed', 51, 60);
      expect(await untilCount(tab, 60)).toEqual(ids(1, 60));
      await until(async () => (await states(tab)).at(-1) === 'live');
    });

    test('reload in the middle of a catch-up: goes on at the stored cursor', async () => {
      await store('reload', 1, 5000);
      const following = { after: 'earliest', keep: true };
      const tab = await followed('reload', following);
      await untilCount(tab, 300);
      await tab.reload();
      const { url } = system.gateway;
      await follow(tab, { url, topic: 'reload', token: '/token', ...following });
      expect(await untilCount(tab, 5000)).toEqual(ids(1, 5000));
    });

    test('token that expires: is renewed on the same connection, and events go on', async () => {
      issue = () => makeToken('subscribe:>', 'alice', 3);
      const tab = await followed('expires');
      for (let n = 1; n <= 16; n++) {
        await store('expires', n, n);
        await new Promise((resolve) => setTimeout(resolve, 400));
      }
      expect(await untilCount(tab, 16)).toEqual(ids(1, 16));
      expect(issued.length).toBeGreaterThanOrEqual(3);
      expect((await kept(tab)).sockets).toBe(1);
    });

    test('token function that fails for a while: the page is offline, and has all when it works again', async () => {
      issue = () => makeToken('subscribe:>', 'alice', 2);
      const tab = await followed('fails');
      issue = () => Promise.reject(new Error('The back end is away.'));
      await until(async () => (await states(tab)).includes('offline'));
      await store('fails', 1, 20);
      issue = () => makeToken('subscribe:>', 'alice');
      expect(await untilCount(tab, 20)).toEqual(ids(1, 20));
    });

    test('user who is revoked: stops with a reason, and goes on at the cursor after a login', async () => {
      issue = () => makeToken('subscribe:>', 'mallory');
      const tab = await followed('revoked');
      await store('revoked', 1, 3);
      await untilCount(tab, 3);
      await revokeUser(system, 'mallory');
      await until(async () => (await states(tab)).at(-1) === 'stopped');
      const { reason, ended, got } = await kept(tab);
      expect(reason).toMatch(/revoked/i);
      expect(ended).toMatch(/revoked|unauthenticated/);
      expect(got).toEqual(ids(1, 3));
      await store('revoked', 4, 6);
      issue = () => makeToken('subscribe:>', 'alice');
      await logInAgain(tab);
      await store('revoked', 7, 8);
      expect(await untilCount(tab, 8)).toEqual(ids(1, 8));
    });

    test('two tabs with one store: each has every event, and the cursor never goes back', async () => {
      const [one, other] = await Promise.all([
        followed('tabs', { keep: true }),
        followed('tabs', { keep: true }),
      ]);
      const cursors: number[] = [];
      for (let n = 0; n < 20; n++) {
        await store('tabs', n * 50 + 1, n * 50 + 50);
        const cursor = await one.evaluate(
          () =>
            (globalThis as unknown as { localStorage: Record<string, string> }).localStorage[
              'tidemark:tabs'
            ],
        );
        // The cursor is written ten times a second at most.
        await new Promise((resolve) => setTimeout(resolve, 50));
        cursors.push(Number(cursor?.split('-').at(-1) ?? 0));
      }
      expect(await untilCount(one, 1000)).toEqual(ids(1, 1000));
      expect(await untilCount(other, 1000)).toEqual(ids(1, 1000));
      expect(cursors).toEqual([...cursors].sort((a, b) => a - b));
      expect(new Set(cursors).size).toBeGreaterThan(3);
    });

    describe.skipIf(!HAS_NGINX)('behind a proxy (needs nginx)', () => {
      test('that refuses WebSocket: everything comes over SSE', async () => {
        const url = await proxied([[WEB_SOCKET, 'location = /v1/ws { return 400; }']]);
        await store('refuses', 1, 100);
        const tab = await followed('refuses', { url, after: 'earliest' });
        await untilCount(tab, 100);
        await store('refuses', 101, 200);
        expect(await untilCount(tab, 200)).toEqual(ids(1, 200));
        expect(await kept(tab)).toMatchObject({ sockets: 2, streams: 1 });
      });

      test('that takes the upgrade out of the handshake: everything comes over SSE', async () => {
        const url = await proxied([
          [
            WEB_SOCKET,
            'location = /v1/ws { proxy_pass http://gateways; proxy_set_header Upgrade ""; }',
          ],
        ]);
        const tab = await followed('stripped', { url });
        await store('stripped', 1, 100);
        expect(await untilCount(tab, 100)).toEqual(ids(1, 100));
        expect(await kept(tab)).toMatchObject({ sockets: 2, streams: 1 });
      });

      test.skipIf(!ALL)(
        'that never answers a handshake (needs npm test -- --all): everything comes over SSE',
        {
          timeout: 60_000,
        },
        async () => {
          const hole = createServer();
          holes.push(hole);
          await new Promise<void>((resolve) => hole.listen(0, '127.0.0.1', resolve));
          const { port } = hole.address() as AddressInfo;
          const url = await proxied([
            [
              WEB_SOCKET,
              `location = /v1/ws { proxy_pass http://127.0.0.1:${port}; proxy_read_timeout 1h; }`,
            ],
          ]);
          const tab = await browser.newTab();
          await tab.goto(site.origin);
          const following = follow(tab, {
            url,
            topic: 'silent',
            after: 'earliest',
            token: '/token',
          });
          await store('silent', 1, 100);
          await following;
          expect(await untilCount(tab, 100)).toEqual(ids(1, 100));
          expect(await kept(tab)).toMatchObject({ sockets: 1, streams: 1 });
        },
      );

      test('that cuts each WebSocket after its first frame: everything comes over SSE', async () => {
        const relay = await startRelay(system.gateway.port, { cutsAfterFirstFrame: true });
        try {
          await store('first', 1, 100);
          const tab = await followed('first', { url: relay.url, after: 'earliest' });
          await untilCount(tab, 100);
          await store('first', 101, 200);
          expect(await untilCount(tab, 200)).toEqual(ids(1, 200));
          expect(await kept(tab)).toMatchObject({ sockets: 2, streams: 1 });
        } finally {
          await relay.stop();
        }
      });

      test('that cuts each WebSocket when it is quiet: nothing is lost, and nothing comes twice', async () => {
        const url = await proxied([
          [
            WEB_SOCKET,
            'location = /v1/ws { proxy_pass http://gateways; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; proxy_read_timeout 300ms; }',
          ],
        ]);
        const tab = await followed('cuts', { url });
        for (let n = 0; n < 10; n++) {
          await store('cuts', n * 10 + 1, n * 10 + 10);
          await new Promise((resolve) => setTimeout(resolve, 300));
        }
        expect(await untilCount(tab, 100)).toEqual(ids(1, 100));
        expect((await kept(tab)).sockets).toBeGreaterThan(2);
      });
    });
  });
});
