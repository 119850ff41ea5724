import { until } from '../support/until.ts';

/* What a page does with the client library, the same in each browser. */

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
  readonly states: string[];
  /** Why it stopped, as a person reads it. */
  reason: string;
  /** Why the loop ended: a code. */
  ended: string;
  /** WebSockets and streams of SSE that were opened, and subscriptions that were left. */
  sockets: number;
  streams: number;
  left: number;
  /** The longest task in ms, where the browser tells; and the longest time for which no timer fired. */
  longest: number;
  stoodMs: number;
  /** How often the page came out of the back/forward cache. */
  restored: number;
}

export interface Following {
  /** Of the gateway, or of what is before it. */
  readonly url: string;
  /** Where `/client.js` comes from; `url` if absent. */
  readonly from?: string;
  readonly topic: string;
  /** `latest` if absent. */
  readonly after?: string;
  /** A token, or the path at which the page asks for one; `/token` if absent. */
  readonly token?: string;
  /** The cursor is stored, and the list survives a reload. */
  readonly keep?: boolean;
  /** How long the page takes for each event. */
  readonly takesMs?: number;
}

interface World {
  library: typeof import('@tidemark/client');
  kept: Kept;
  tidemark: ReturnType<World['library']['connect']>;
  /** Follows the topic. */
  subscribe(): Promise<void>;
  localStorage: Record<string, string>;
  fetch: typeof fetch;
  WebSocket?: new (...args: unknown[]) => { send(text: string): void };
  addEventListener(type: string, run: (event: { persisted: boolean }) => void): void;
}

/** Follows a topic in the page, until the server has confirmed that. */
export async function follow(tab: Tab, following: Following): Promise<void> {
  // As text: what is a function here gets its `import` replaced.
  const { url, from = url } = following;
  const load = `import('${from}/client.js').then((module) => { globalThis.library = module; })`;
  await tab.evaluate(load);
  await tab.evaluate(watch);
  await tab.evaluate(async (following: Following) => {
    const { url, topic, after = 'latest', token = '/token', keep, takesMs = 0 } = following;
    const world = globalThis as unknown as World;
    const { connect, localStorageStore } = world.library;
    const { kept, localStorage } = world;
    if (keep) kept.got.push(...JSON.parse(localStorage[`got:${topic}`] ?? '[]'));
    const save = () => {
      if (keep) localStorage[`got:${topic}`] = JSON.stringify(kept.got);
    };
    world.addEventListener('pagehide', save);
    const ask = () => fetch(token).then((answer) => (answer.ok ? answer.text() : Promise.reject()));
    world.tidemark = connect({
      url,
      token: token.startsWith('/') ? ask : token,
      store: localStorageStore(),
    });
    world.tidemark.on('status', (status) => {
      kept.states.push(status.state);
      if (status.state === 'stopped') kept.reason = status.reason;
    });
    let cursor: string | undefined;
    world.subscribe = async () => {
      const options = { after: cursor ?? after, ...(keep && { name: topic }) };
      const subscription = world.tidemark.subscribe(topic, options);
      const take = async ({ id }: { id: string }, at: string) => {
        kept.got.push(id);
        cursor = at;
        if (kept.got.length % 50 === 0) save();
        if (takesMs > 0) await new Promise((resolve) => setTimeout(resolve, takesMs));
      };
      subscription.each(take).catch(({ code }: { code: string }) => {
        kept.ended = code;
      });
      await subscription.ready.catch(() => undefined);
    };
    await world.subscribe();
  }, following);
}

function watch(): void {
  const world = globalThis as unknown as World;
  const kept: Kept = {
    ...{ got: [], states: [], reason: '', ended: '', restored: 0 },
    ...{ sockets: 0, streams: 0, left: 0, longest: 0, stoodMs: 0 },
  };
  world.kept = kept;
  const { supportedEntryTypes } = PerformanceObserver as unknown as {
    supportedEntryTypes: readonly string[];
  };
  if (supportedEntryTypes.includes('longtask')) {
    new PerformanceObserver((list) => {
      for (const { duration } of list.getEntries()) kept.longest = Math.max(kept.longest, duration);
    }).observe({ entryTypes: ['longtask' as never] });
  }
  let last = performance.now();
  setInterval(() => {
    kept.stoodMs = Math.max(kept.stoodMs, performance.now() - last);
    last = performance.now();
  }, 5);
  world.addEventListener('pageshow', ({ persisted }) => {
    if (persisted) kept.restored++;
  });
  const { fetch, WebSocket: Socket } = world;
  world.fetch = (...request) => {
    if (String(request[0]).endsWith('/v1/sse')) kept.streams++;
    return fetch(...request);
  };
  if (!Socket) return;
  world.WebSocket = class extends Socket {
    constructor(...args: unknown[]) {
      super(...args);
      kept.sockets++;
    }
    override send(text: string): void {
      if (text.includes('"unsubscribe"')) kept.left++;
      super.send(text);
    }
  };
}

export function kept(tab: Tab): Promise<Kept> {
  return tab.evaluate(() => (globalThis as unknown as World).kept);
}

/** The ids in the order in which they came, once there are so many. */
export async function untilCount(
  tab: Tab,
  count: number,
  withinMs?: number,
): Promise<readonly string[]> {
  let length = 0;
  // Without the list, which would block the page that is measured.
  const has = async () => {
    length = await tab.evaluate(() => (globalThis as unknown as World).kept.got.length);
    return length >= count;
  };
  await until(has, () => `${count} events, of which ${length} came`, withinMs);
  return (await kept(tab)).got;
}

/** Takes a new token, as a page does after a login, and follows the topic again, from its cursor. */
export function logInAgain(tab: Tab): Promise<void> {
  return tab.evaluate(async () => {
    const world = globalThis as unknown as World;
    await world.tidemark.authenticate();
    await world.subscribe();
  });
}
