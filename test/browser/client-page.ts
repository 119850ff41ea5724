import { until } from '../support/until.ts';

/* What a page does with the client library, the same in each browser. */

type Library = typeof import('@tidemark/client');

/** A page of playwright or of puppeteer: what both have. */
export interface Tab {
  goto(url: string): Promise<unknown>;
  reload(): Promise<unknown>;
  bringToFront(): Promise<unknown>;
  evaluate<Result, Argument>(
    run: string | ((argument: Argument) => Result),
    argument?: Argument,
  ): Promise<Awaited<Result>>;
}

/** What a page keeps for the test to look at. */
export interface Kept {
  readonly got: string[];
  /** The longest task in ms, where the browser tells; and the longest time for which no timer fired. */
  longest: number;
  held: number;
  readonly status: { readonly state: string; readonly reason?: string }[];
  /** WebSockets and streams of SSE that were opened. */
  sockets: number;
  streams: number;
  /** Why the loop ended. */
  ended?: string;
}

export interface Following {
  /** Of the gateway, or of the proxy before it; `/client.js` comes from there. */
  readonly url: string;
  readonly topic: string;
  readonly after: string;
  /** A token, or the path at which the page asks for one. */
  readonly token: string;
  /** The cursor is stored, and the list survives a reload. */
  readonly keep?: boolean;
}

interface World {
  library: Library;
  kept: Kept;
  tidemark: ReturnType<Library['connect']>;
  localStorage: Record<string, string>;
  WebSocket: new (...args: unknown[]) => object;
  addEventListener(type: string, run: () => void): void;
}

/** Follows a topic in the page, until the server has confirmed that. */
export async function follow(tab: Tab, following: Following): Promise<void> {
  // As text: what is a function here gets its `import` replaced.
  const load = `import('${following.url}/client.js').then((module) => { globalThis.library = module; })`;
  await tab.evaluate(load);
  await tab.evaluate(async ({ url, topic, after, token, keep }: Following) => {
    const world = globalThis as unknown as World;
    const { connect, localStorageStore } = world.library;
    const kept: Kept = { got: [], longest: 0, held: 0, status: [], sockets: 0, streams: 0 };
    if (keep) kept.got.push(...JSON.parse(world.localStorage[`got:${topic}`] ?? '[]'));
    world.kept = kept;
    const { supportedEntryTypes } = PerformanceObserver as unknown as {
      supportedEntryTypes: readonly string[];
    };
    if (supportedEntryTypes.includes('longtask')) {
      new PerformanceObserver((list) => {
        for (const { duration } of list.getEntries())
          kept.longest = Math.max(kept.longest, duration);
      }).observe({ entryTypes: ['longtask' as never] });
    }
    let last = performance.now();
    setInterval(() => {
      kept.held = Math.max(kept.held, performance.now() - last);
      last = performance.now();
    }, 5);
    const Socket = world.WebSocket;
    world.WebSocket = class extends Socket {
      constructor(...args: unknown[]) {
        super(...args);
        kept.sockets++;
      }
    };
    const { fetch } = globalThis;
    globalThis.fetch = (...request) => {
      if (String(request[0]).endsWith('/v1/sse')) kept.streams++;
      return fetch(...request);
    };
    const ask = () => fetch(token).then((answer) => (answer.ok ? answer.text() : Promise.reject()));
    const tidemark = connect({
      url,
      token: token.startsWith('/') ? ask : token,
      store: localStorageStore(),
    });
    world.tidemark = tidemark;
    tidemark.on('status', (status) => kept.status.push(status));
    const subscription = tidemark.subscribe(topic, { after, ...(keep && { name: topic }) });
    const save = () => {
      if (keep) world.localStorage[`got:${topic}`] = JSON.stringify(kept.got);
    };
    subscription
      .each((event) => {
        kept.got.push(event.id);
        if (kept.got.length % 50 === 0) save();
      })
      .catch((error: { code: string; message: string }) => {
        kept.ended = `${error.code}: ${error.message}`;
      });
    world.addEventListener('pagehide', save);
    await subscription.ready.catch(() => undefined);
  }, following);
}

export function kept(tab: Tab): Promise<Kept> {
  return tab.evaluate(() => (globalThis as unknown as World).kept);
}

/** The ids in the order in which they came, once there are so many. */
export async function untilCount(tab: Tab, count: number): Promise<readonly string[]> {
  // Without the list, which would block the page that is measured.
  const has = () => tab.evaluate(() => (globalThis as unknown as World).kept.got.length);
  await until(async () => (await has()) >= count);
  return (await kept(tab)).got;
}

/** Asks for a new token and begins anew, as a page does after a login. */
export function authenticate(tab: Tab): Promise<void> {
  return tab.evaluate(() => (globalThis as unknown as World).tidemark.authenticate());
}
