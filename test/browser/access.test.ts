import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';
import { findChromium, type Site, startBrowser, startSite } from './pages.ts';

/*
 * What a real browser is let do (PROTOCOL.md sections 8.3 and 8.4). The pages come from other
 * origins than the gateway: one that is allowed, and one that is not.
 */

const COOKIE = 'tidemark';

const executable = findChromium();

describe.skipIf(executable === undefined)('browser (needs Chromium)', () => {
  let browser: Browser;
  let context: BrowserContext;
  let home: Site;
  let foreign: Site;
  let system: System;
  let token = '';

  beforeAll(async () => {
    [home, foreign] = await Promise.all([startSite(), startSite()]);
    [browser, system, token] = await Promise.all([
      startBrowser(executable ?? ''),
      startSystem({
        env: { TIDEMARK_ALLOWED_ORIGINS: home.origin, TIDEMARK_TOKEN_COOKIE: COOKIE },
      }),
      makeToken('subscribe:a publish:a', 'alice'),
    ]);
  });

  afterAll(async () => {
    await browser?.close();
    await Promise.all([system?.stop(), home?.stop(), foreign?.stop()]);
  });

  beforeEach(async () => {
    context = await browser.newContext();
  });

  afterEach(() => context.close());

  async function open(site: Site, cookie = false): Promise<Page> {
    if (cookie) {
      const { origin } = new URL(system.gateway.url);
      await context.addCookies([{ name: COOKIE, value: token, url: origin, httpOnly: true }]);
    }
    const page = await context.newPage();
    await page.goto(site.origin);
    return page;
  }

  let sent = 0;
  async function publish(): Promise<string> {
    const id = String(++sent);
    await system.publisher.store({ id, source: '/browser', type: 'a', data: 1 });
    return id;
  }

  /** A ticket as a page gets it: a fetch with a preflight. */
  function ticket(page: Page): Promise<string> {
    return page.evaluate(
      async ([url, token]) => {
        const headers = { authorization: `Bearer ${token}` };
        const response = await fetch(`${url}/v1/tickets`, { method: 'POST', headers });
        return ((await response.json()) as { ticket: string }).ticket;
      },
      [system.gateway.url, token] as const,
    );
  }

  /** Opens a stream whose events collect in the page. */
  function listen(page: Page, query: string, withCredentials = false): Promise<string> {
    return page.evaluate(
      ([url, withCredentials]) =>
        new Promise<string>((resolve) => {
          const source = new EventSource(url, { withCredentials });
          const ids: string[] = [];
          Object.assign(globalThis, { source, ids });
          source.onmessage = ({ data }) => void ids.push(JSON.parse(data).id);
          source.addEventListener('live', () => resolve('live'));
          source.onerror = () => {
            if (source.readyState === EventSource.CLOSED) resolve('closed');
          };
        }),
      [`${system.gateway.url}/v1/sse?topics=a${query}`, withCredentials] as const,
    );
  }

  const received = (page: Page) =>
    page.evaluate(() => (globalThis as unknown as { ids: string[] }).ids);

  /** Opens a WebSocket and subscribes. @returns the first events' ids, or what the end was */
  function connect(page: Page, query: string, protocols: string[]): Promise<string> {
    return page.evaluate(
      ([url, protocols]) =>
        new Promise<string>((resolve) => {
          const socket = new WebSocket(url, protocols);
          const ids: string[] = [];
          Object.assign(globalThis, { socket, ids });
          socket.onmessage = ({ data }) => {
            const message = JSON.parse(data);
            if (message.type === 'welcome') {
              socket.send(JSON.stringify({ type: 'subscribe', id: 's', topics: ['a'] }));
            }
            if (message.type === 'live') resolve(`live over ${socket.protocol}`);
            if (message.type === 'event') ids.push(message.event.id);
          };
          socket.onclose = ({ code }) => resolve(`closed ${code}`);
        }),
      [`${system.gateway.url.replace('http', 'ws')}/v1/ws${query}`, protocols] as const,
    );
  }

  describe('page that is allowed', () => {
    test('EventSource with a ticket: receives events', async () => {
      const page = await open(home);
      expect(await listen(page, `&ticket=${await ticket(page)}`)).toBe('live');
      const id = await publish();
      await expect.poll(() => received(page)).toEqual([id]);
    });

    test('EventSource with a cookie: receives events, and after a cut what it missed', async () => {
      const page = await open(home, true);
      expect(await listen(page, '', true)).toBe('live');
      const first = await publish();
      await expect.poll(() => received(page)).toEqual([first]);
      await system.gateway.kill('SIGKILL');
      const missed = await publish();
      await system.gateway.restart();
      const next = await publish();
      await expect.poll(() => received(page), { timeout: 10_000 }).toEqual([first, missed, next]);
    });

    test('EventSource whose ticket is used: gives up when it has to reconnect', async () => {
      const page = await open(home);
      expect(await listen(page, `&ticket=${await ticket(page)}`)).toBe('live');
      const headers = { authorization: `Bearer ${await makeToken('admin')}` };
      const body = JSON.stringify({ sub: 'alice' });
      const url = `${system.gateway.url}/v1/admin/disconnect`;
      expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(202);
      const state = () =>
        page.evaluate(() => (globalThis as unknown as { source: EventSource }).source.readyState);
      await expect.poll(state, { timeout: 10_000 }).toBe(2);
    });

    test('WebSocket with a ticket: receives events', async () => {
      const page = await open(home);
      const query = `?ticket=${await ticket(page)}`;
      expect(await connect(page, query, ['tidemark.v1'])).toBe('live over tidemark.v1');
      const id = await publish();
      await expect.poll(() => received(page)).toEqual([id]);
    });

    test('WebSocket with a token as subprotocol: receives events', async () => {
      const page = await open(home);
      const protocols = ['tidemark.v1', `bearer.${token}`];
      expect(await connect(page, '', protocols)).toBe('live over tidemark.v1');
      const id = await publish();
      await expect.poll(() => received(page)).toEqual([id]);
    });

    test('WebSocket with a cookie: receives events', async () => {
      const page = await open(home, true);
      expect(await connect(page, '', ['tidemark.v1'])).toBe('live over tidemark.v1');
    });

    test('append at ingest: the answer and its ETag can be read', async () => {
      const page = await open(home);
      const { status, etag } = await page.evaluate(
        async ([ingest, token]) => {
          const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
          const body = JSON.stringify({ type: 'a', data: 1 });
          const response = await fetch(`${ingest}/v1/events`, { method: 'POST', headers, body });
          return { status: response.status, etag: response.headers.get('etag') };
        },
        [system.ingest.url, token] as const,
      );
      expect(status).toBe(201);
      expect(etag).toMatch(/^"[a-z0-9]+-\d+"$/);
    });
  });

  describe('page that is not allowed', () => {
    test('fetch with a token: fails', async () => {
      const page = await open(foreign);
      await expect(ticket(page)).rejects.toThrow(/Failed to fetch/);
    });

    test('EventSource with a cookie or a ticket: is closed', async () => {
      const page = await open(foreign, true);
      expect(await listen(page, '', true)).toBe('closed');
      const stolen = await ticket(await open(home));
      expect(await listen(page, `&ticket=${stolen}`)).toBe('closed');
    });

    test('WebSocket with a cookie, a ticket or a token: is refused', async () => {
      const page = await open(foreign, true);
      const stolen = await ticket(await open(home));
      expect(await connect(page, '', ['tidemark.v1'])).toBe('closed 1006');
      expect(await connect(page, `?ticket=${stolen}`, ['tidemark.v1'])).toBe('closed 1006');
      expect(await connect(page, '', ['tidemark.v1', `bearer.${token}`])).toBe('closed 1006');
    });

    test('sandboxed frame inside the allowed page (origin null): is refused', async () => {
      const page = await open(home, true);
      await page.setContent('<iframe sandbox="allow-scripts" srcdoc="frame"></iframe>');
      await expect.poll(() => page.frames().length).toBe(2);
      const frame = page.frames()[1];
      const code = await frame?.evaluate(
        (url) =>
          new Promise<number>((resolve) => {
            new WebSocket(url, ['tidemark.v1']).onclose = (event) => resolve(event.code);
          }),
        `${system.gateway.url.replace('http', 'ws')}/v1/ws`,
      );
      expect(code).toBe(1006);
    });
  });
});
