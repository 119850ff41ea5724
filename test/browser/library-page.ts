import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Page } from 'playwright-core';
import { until } from '../support/until.ts';
import type { Site } from './pages.ts';

/* A page that follows a topic, and keeps what a test of the network and of the page's life looks at. */

const MODULES = fileURLToPath(new URL('../../libs/client/dist/', import.meta.url));

/** A site with an empty page, the library as the modules that it is built to, and `/token`. */
export async function startLibrarySite(token: () => Promise<string>): Promise<Site> {
  const server = createServer(async (request, response) => {
    const path = request.url ?? '';
    if (path.startsWith('/client/')) {
      const text = await readFile(MODULES + path.slice('/client/'.length), 'utf8');
      response.setHeader('content-type', 'text/javascript').end(text);
    } else if (path === '/token') response.end(await token());
    else response.setHeader('content-type', 'text/html').end('<!doctype html><title>page</title>');
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

export interface Following {
  /** Of the gateway, or of what is before it. */
  readonly url: string;
  readonly topic: string;
  /** `latest` if absent. */
  readonly after?: string;
  /** How long the page takes for each event. */
  readonly takesMs?: number;
}

interface World {
  library: typeof import('@tidemark/client');
  tidemark: ReturnType<World['library']['connect']>;
  followed: Followed;
  /** Follows the topic, with a stored cursor. */
  subscribe(): Promise<void>;
  fetch: typeof fetch;
  WebSocket?: new (...args: unknown[]) => { send(text: string): void };
  addEventListener(type: string, run: (event: { persisted: boolean }) => void): void;
}

/** What the page keeps. */
export interface Followed {
  readonly got: string[];
  readonly states: string[];
  /** WebSockets and streams of SSE that were opened, and subscriptions that were left. */
  sockets: number;
  streams: number;
  left: number;
  /** The longest time for which no timer fired. */
  stoodMs: number;
  /** How often the page came out of the back/forward cache. */
  restored: number;
}

/** Follows a topic in the page, until the server has confirmed that. */
export async function follow(page: Page, following: Following): Promise<void> {
  // As text: what is a function here gets its `import` replaced.
  await page.evaluate(
    `import('/client/index.js').then((module) => { globalThis.library = module; })`,
  );
  await page.evaluate(watch);
  await page.evaluate(async ({ url, topic, after = 'latest', takesMs = 0 }: Following) => {
    const world = globalThis as unknown as World;
    const { connect, localStorageStore } = world.library;
    const token = () => fetch('/token').then((answer) => answer.text());
    world.tidemark = connect({ url, token, store: localStorageStore() });
    world.tidemark.on('status', ({ state }) => world.followed.states.push(state));
    world.subscribe = async () => {
      const subscription = world.tidemark.subscribe(topic, { after, name: topic });
      const take = async ({ id }: { id: string }) => {
        world.followed.got.push(id);
        if (takesMs > 0) await new Promise((resolve) => setTimeout(resolve, takesMs));
      };
      subscription.each(take).catch(({ code }) => world.followed.got.push(code));
      await subscription.ready;
    };
    await world.subscribe();
  }, following);
}

function watch(): void {
  const world = globalThis as unknown as World;
  const followed: Followed = {
    got: [],
    states: [],
    sockets: 0,
    streams: 0,
    left: 0,
    stoodMs: 0,
    restored: 0,
  };
  world.followed = followed;
  let last = performance.now();
  setInterval(() => {
    followed.stoodMs = Math.max(followed.stoodMs, performance.now() - last);
    last = performance.now();
  }, 50);
  world.addEventListener('pageshow', ({ persisted }) => {
    if (persisted) followed.restored++;
  });
  const { fetch, WebSocket: Socket } = world;
  world.fetch = (...request) => {
    if (String(request[0]).endsWith('/v1/sse')) followed.streams++;
    return fetch(...request);
  };
  if (!Socket) return;
  world.WebSocket = class extends Socket {
    constructor(...args: unknown[]) {
      super(...args);
      followed.sockets++;
    }
    override send(text: string): void {
      if (text.includes('"unsubscribe"')) followed.left++;
      super.send(text);
    }
  };
}

export function followed(page: Page): Promise<Followed> {
  return page.evaluate(() => (globalThis as unknown as World).followed);
}

/** The ids in the order in which they came, once there are so many. */
export async function untilCount(page: Page, count: number, withinMs?: number): Promise<string[]> {
  let got: string[] = [];
  const has = async () => {
    ({ got } = await followed(page));
    return got.length >= count;
  };
  await until(has, () => `${count} events, after ${got.length}: ${got.slice(-5)}`, withinMs);
  return got;
}

/** Takes a new token, as a page does after a login, and follows the topic again. */
export async function logInAgain(page: Page): Promise<void> {
  await page.evaluate(async () => {
    const world = globalThis as unknown as World;
    await world.tidemark.authenticate();
    await world.subscribe();
  });
}
