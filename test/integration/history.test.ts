import { connect as connectSocket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../support/nats-server.ts';
import { makeToken, type Service } from '../support/services.ts';
import {
  ask,
  askLines,
  askPage,
  metric,
  OutsideClient,
  type Page,
  type Published,
  range,
  sequenceOf,
  startReplay,
  until,
  untilProjected,
} from './replay-setup.ts';

/** What PROTOCOL.md names as the limit, less some that are kept for users who have none. */
const EXPORTS_HELD = 28;

const TYPES = ['order.paid', 'order.sent', 'order.lost'];
const SOURCES = ['/shop', '/store?x=1,2'];
const TOPICS = ['orders.1', 'orders.2', 'orders.2.items', 'user.7.inbox', 'user.8.inbox', 'news'];

let nats: NatsServer;
let client: OutsideClient;
let replay: Service;
let published: Published[];
let epoch: string;

beforeAll(async () => {
  nats = await startNatsServer();
  client = await OutsideClient.connect(nats.url);
  replay = await startReplay(nats.url, { TIDEMARK_REPLAY_PAGE_EVENTS_MAX: '500' });
  published = await client.publish(range(1, 600), (number) => ({
    topic: TOPICS[Math.floor(number / 5) % TOPICS.length] ?? '',
    type: TYPES[number % 3] ?? '',
    source: SOURCES[number % 2] ?? '',
  }));
  await untilProjected(replay, 600);
  epoch = (await askPage(replay, '/v1/events')).next.split('-')[0] ?? '';
});

afterAll(async () => {
  await replay.stop();
  await client.close();
  await nats.stop();
});

function sequences(of: (one: Published) => boolean): number[] {
  return published.filter(of).map(({ sequence }) => sequence);
}

describe('history: filters', () => {
  test.each([
    ['topics=news', (one: Published) => one.topic === 'news'],
    ['topics=orders.*', (one: Published) => /^orders\.\d$/.test(one.topic)],
    ['topics=orders.%3E', (one: Published) => one.topic.startsWith('orders.')],
    ['topics=news,user.*.inbox', (one: Published) => /^(news|user)/.test(one.topic)],
    ['topics=absent', () => false],
    ['type=order.paid', (one: Published) => one.event.type === 'order.paid'],
    ['type=order.paid,order.lost', (one: Published) => one.event.type !== 'order.sent'],
    ['type=order', () => false],
    ['source=/shop', (one: Published) => one.event.source === '/shop'],
    [
      `source=${encodeURIComponent('/store?x=1,2')}`,
      (one: Published) => one.event.source !== '/shop',
    ],
    ['source=/shop&id=18', ({ event }: Published) => event.source === '/shop' && event.id === '18'],
    ['topics=absent&source=/shop&id=18', () => false],
    [
      'topics=orders.2,news&type=order.paid&source=/shop',
      ({ topic, event }: Published) =>
        ['orders.2', 'news'].includes(topic) &&
        event.type === 'order.paid' &&
        event.source === '/shop',
    ],
  ])('history: %s: answers exactly those, in both orders and as NDJSON', async (query, of) => {
    const expected = sequences(of);
    const page = await askPage(replay, `/v1/events?limit=500&${query}`);
    expect(page.items.map(sequenceOf)).toEqual(expected);
    expect(page).toMatchObject({ complete: true, gaps: [], next: `${epoch}-600` });
    const backwards = await askPage(replay, `/v1/events?limit=500&order=desc&${query}`);
    expect(backwards.items).toEqual([...page.items].reverse());
    const lines = await askLines(replay, `/v1/events?${query}`);
    expect(lines).toEqual([...page.items, { complete: true, next: `${epoch}-600` }]);
  });

  test('history: an event: is what was published, byte for byte', async () => {
    const { event, sequence } = published[41] ?? expect.fail();
    const answer = await ask(replay, `/v1/events/${epoch}-${sequence}`);
    expect(answer.text).toBe(`{"cursor":"${epoch}-${sequence}","event":${JSON.stringify(event)}}`);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('content-type')).toContain('application/json');
  });

  test('history: after and before: both exclusive', async () => {
    const page = await askPage(replay, `/v1/events?after=${epoch}-10&before=${epoch}-14`);
    expect(page.items.map(sequenceOf)).toEqual([11, 12, 13]);
    const latest = await askPage(replay, '/v1/events?after=latest');
    expect(latest).toEqual({ items: [], next: `${epoch}-600`, complete: true, gaps: [] });
  });

  test('history: cursor beyond the end: an empty page that goes on there', async () => {
    const cursor = `${epoch}-9000`;
    const page = await askPage(replay, `/v1/events?after=${cursor}`);
    expect(page).toEqual({ items: [], next: cursor, complete: true, gaps: [] });
    const lines = await askLines(replay, `/v1/events?after=${cursor}`);
    expect(lines).toEqual([{ complete: true, next: cursor }]);
  });

  test("history: from and to: the stream's own times, from inclusive, to exclusive", async () => {
    await sleep(20);
    const more = await client.publish(range(1001, 1003), () => ({ topic: 'timed' }));
    const manager = await client.manager();
    const times = await Promise.all(
      more.map(async ({ sequence }) => {
        const message = await manager.streams.getMessage('TIDEMARK_EVENTS', { seq: sequence });
        return message?.time.getTime() ?? 0;
      }),
    );
    await untilProjected(replay, 603);
    const first = Math.min(...times);
    const end = Math.max(...times) + 1;
    const query = async (parameters: Record<string, number>) => {
      const text = Object.entries(parameters)
        .map(([name, ms]) => `&${name}=${new Date(ms).toISOString()}`)
        .join('');
      const page = await askPage(replay, `/v1/events?limit=500&after=${epoch}-590${text}`);
      return page.items.map(sequenceOf);
    };
    expect(await query({ from: first })).toEqual([601, 602, 603]);
    expect(await query({ from: first, to: end })).toEqual([601, 602, 603]);
    expect(await query({ from: end })).toEqual([]);
    expect(await query({ to: first })).toEqual(range(591, 600));
    const since = await askPage(replay, `/v1/events?after=${new Date(first).toISOString()}`);
    expect(since.items.map(sequenceOf)).toEqual([601, 602, 603]);
  });
});

describe('history: paging', () => {
  test('history: random page sizes, both orders, following next: each event exactly once', async () => {
    const queryArbitrary = fc.record({
      order: fc.constantFrom('asc', 'desc'),
      sizes: fc.array(fc.integer({ min: 1, max: 150 }), { minLength: 1, maxLength: 4 }),
      topics: fc.constantFrom('>', 'orders.>', 'news', '*', 'user.*.inbox,orders.1'),
      window: fc.tuple(fc.nat(600), fc.nat(600)),
    });
    await fc.assert(
      fc.asyncProperty(queryArbitrary, async ({ order, sizes, topics, window }) => {
        const [after, before] = window;
        const fixed = `topics=${encodeURIComponent(topics)}&order=${order}`;
        const all = await askLines(
          replay,
          `/v1/events?${fixed}&after=${epoch}-${after}&before=${epoch}-${before}`,
        );
        const expected = all.slice(0, -1);
        const found: unknown[] = [];
        const bounds = { after: `${epoch}-${after}`, before: `${epoch}-${before}` };
        for (let turn = 0; ; turn++) {
          const limit = sizes[turn % sizes.length] ?? 1;
          const page: Page = await askPage(
            replay,
            `/v1/events?${fixed}&limit=${limit}&after=${bounds.after}&before=${bounds.before}`,
          );
          expect(page.items.length).toBeLessThanOrEqual(limit);
          found.push(...page.items);
          bounds[order === 'asc' ? 'after' : 'before'] = page.next;
          if (page.complete) break;
        }
        expect(found).toEqual(expected);
      }),
      { numRuns: 15 },
    );
  });

  test('history: Link header: leads through the whole range, and ends', async () => {
    const found: number[] = [];
    let path: string | undefined = '/v1/events?topics=orders.%3E&limit=17&order=desc';
    while (path) {
      const answer = await ask(replay, path);
      found.push(...(JSON.parse(answer.text) as Page).items.map(sequenceOf));
      const link: string | null = answer.headers.get('link');
      path = link === null ? undefined : /^<(.*)>; rel="next"$/.exec(link)?.[1];
    }
    expect(found).toEqual(sequences(({ topic }) => topic.startsWith('orders.')).reverse());
  });

  test('history: topics: listed by name with counts and cursors, paged', async () => {
    const found: Record<string, unknown>[] = [];
    let after = '';
    for (let complete = false; !complete; ) {
      const { text } = await ask(replay, `/v1/topics?topics=orders.%3E,news&limit=1${after}`);
      const page = JSON.parse(text);
      found.push(...page.items);
      complete = page.complete;
      after = `&after=${page.next}`;
    }
    const expected = ['news', 'orders.1', 'orders.2', 'orders.2.items'].flatMap((topic) => {
      const of = sequences((one) => one.topic === topic);
      if (of.length === 0) return [];
      return [
        { topic, count: of.length, first: `${epoch}-${of[0]}`, last: `${epoch}-${of.at(-1)}` },
      ];
    });
    expect(found).toEqual(expected);
  });
});

describe('history: just published', () => {
  test('history: cursor of an event just stored: answered once it is projected', async () => {
    for (const number of range(2001, 2020)) {
      const [one] = await client.publish([number], () => ({ topic: 'fresh' }));
      const cursor = `${epoch}-${one?.sequence}`;
      const [single, page] = await Promise.all([
        ask(replay, `/v1/events/${cursor}`),
        askPage(
          replay,
          `/v1/events?order=desc&limit=1&before=${epoch}-${(one?.sequence ?? 0) + 1}`,
        ),
      ]);
      expect(JSON.parse(single.text)).toMatchObject({ cursor, event: { id: `${number}` } });
      expect(page.items).toMatchObject([{ cursor }]);
    }
  });
});

describe('history: bad input', () => {
  test.each([
    ['/v1/events?tpoics=a', 400, 'invalid_query'],
    ['/v1/events?topics=a&topics=b', 400, 'invalid_query'],
    ['/v1/events?topics=a..b', 400, 'invalid_pattern'],
    ['/v1/events?limit=501', 400, 'invalid_query'],
    ['/v1/events?order=up', 400, 'invalid_query'],
    ['/v1/events?after=nonsense', 400, 'invalid_cursor'],
    ['/v1/events?from=yesterday', 400, 'invalid_time'],
    ['/v1/events?source=', 400, 'invalid_query'],
    ['/v1/events/nonsense', 400, 'invalid_cursor'],
    ['/v1/events/%ff', 400, 'invalid_query'],
    ['/v1/events/other-1', 404, 'not_found'],
    ['/v1/topics?after=a..b', 400, 'invalid_topic'],
    ['/v1/topics?type=a', 400, 'invalid_query'],
    ['/v1/nothing', 404, 'not_found'],
  ])('history: %s: %i %s', async (path, status, code) => {
    for (const accept of ['application/json', 'application/x-ndjson']) {
      const answer = await ask(replay, path, { accept });
      expect(answer.status).toBe(status);
      expect(JSON.parse(answer.text)).toMatchObject({ code, message: expect.any(String) });
    }
  });

  test('history: an event beyond the end: 404, without waiting for it', async () => {
    const answer = await ask(replay, `/v1/events/${epoch}-123456`);
    expect(answer.status).toBe(404);
  });

  test('history: another method: 405', async () => {
    const answer = await fetch(`${replay.url}/v1/events`, { method: 'POST' });
    expect(answer.status).toBe(405);
  });
});

describe('history: permissions', () => {
  test.each(['/v1/events', '/v1/topics', '/v1/events/a-1'])('%s: no token: 401', async (path) => {
    expect((await fetch(replay.url + path)).status).toBe(401);
  });

  test.each([
    ['history:orders.*', '/v1/events?topics=orders.1', 200],
    ['history:orders.*', '/v1/events?topics=orders.*', 200],
    ['history:orders.*', '/v1/events?topics=orders.%3E', 403],
    ['history:orders.*', '/v1/events?topics=orders.1,news', 403],
    ['history:orders.*', '/v1/events', 403],
    ['subscribe:> publish:> admin', '/v1/events?topics=news', 403],
    ['subscribe:> publish:> admin', '/v1/topics', 403],
    ['history:news history:orders.>', '/v1/events?topics=orders.2,news', 200],
  ])('history: scope %s asks %s: %i', async (scope, path, status) => {
    expect((await ask(replay, path, { scope })).status).toBe(status);
    const asExport = { scope, accept: 'application/x-ndjson' };
    expect((await ask(replay, path, asExport)).status).toBe(status);
  });

  test('history: an event of a topic not granted: 404, like one that does not exist', async () => {
    const one = published.find(({ topic }) => topic === 'news') ?? expect.fail();
    const path = `/v1/events/${epoch}-${one.sequence}`;
    const hidden = await ask(replay, path, { scope: 'history:orders.>' });
    const absent = await ask(replay, `/v1/events/${epoch}-99999`, { scope: 'history:orders.>' });
    expect(hidden.status).toBe(404);
    expect(hidden.text.replace(/-\d+/, '')).toBe(absent.text.replace(/-\d+/, ''));
    expect((await ask(replay, path, { scope: 'history:news' })).status).toBe(200);
  });

  test('history: topics: only those granted are named', async () => {
    const names = async (scope: string, query = '') => {
      const { text } = await ask(replay, `/v1/topics${query}`, { scope });
      return (JSON.parse(text) as { items: { topic: string }[] }).items.map(({ topic }) => topic);
    };
    const granted = [...new Set(published.map(({ topic }) => topic))].sort();
    const inboxes = granted.filter((topic) => topic.endsWith('.inbox'));
    expect(await names('history:*.*.inbox')).toEqual(inboxes);
    expect(await names('history:*.*.inbox', '?topics=%3E')).toEqual(inboxes);
    expect(await names('history:news', '?topics=orders.%3E')).toEqual([]);
  });
});

describe('history: exports', () => {
  test('history: slow readers of NDJSON: memory stays bounded, and they get every line', async () => {
    const text = 'x'.repeat(20_000);
    const large = await client.publish(range(5001, 7000), () => ({ topic: 'large', text }));
    await untilProjected(replay, large.at(-1)?.sequence ?? 0);
    const memory = () => metric(replay, 'process_resident_memory_bytes');
    const before = await memory();
    const readers = await Promise.all(range(1, 20).map(openExportOf));
    await until(async () => (await metric(replay, 'history_exports')) === 20);
    await untilSteady(() => metric(replay, 'history_export_bytes_total'));
    // Each answer has 40 MB, of which the system's socket buffers take some.
    expect(await metric(replay, 'history_exports')).toBe(20);
    expect(await metric(replay, 'history_export_bytes_total')).toBeLessThan(20 * 15_000_000);
    expect((await memory()) - before).toBeLessThan(150_000_000);
    const [first, second, ...others] = readers;
    for (const { socket } of others) socket.destroy();
    for (const reader of [first, second]) {
      const body = await reader?.readAll();
      expect(body?.match(/"cursor":/g)).toHaveLength(2000);
      expect(body).toContain('{"complete":true,');
    }
  });

  test('history: clients that break off an export: free their permits', async () => {
    const exports = await Promise.all(range(1, 20).map(openExportOf));
    await until(async () => (await metric(replay, 'history_exports')) === 20);
    for (const { socket } of exports) socket.destroy();
    await until(async () => (await metric(replay, 'history_exports')) === 0);
  });

  test('history: more exports than are allowed: 429; pages go on, and so do users who have none', async () => {
    const exports = await Promise.all(range(1, 40).map(openExportOf));
    await until(async () => (await metric(replay, 'history_exports')) >= EXPORTS_HELD);
    const accept = 'application/x-ndjson';
    const authorization = `Bearer ${await makeToken('history:>', 'exporter 1')}`;
    const refused = await fetch(`${replay.url}/v1/events`, { headers: { accept, authorization } });
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '1']);
    expect((await ask(replay, '/v1/events')).status).toBe(200);
    expect((await ask(replay, '/v1/events?limit=1', { accept })).status).toBe(200);
    for (const { socket } of exports) socket.destroy();
    await until(async () => (await metric(replay, 'history_exports')) === 0);
  });

  test('history: limit of an export: ends there and says where to go on', async () => {
    const lines = await askLines(replay, '/v1/events?limit=3');
    expect(lines).toHaveLength(4);
    expect(lines[3]).toEqual({ complete: false, next: `${epoch}-3` });
  });
});

/** Waits until a number stays what it is. */
async function untilSteady(read: () => Promise<number>): Promise<void> {
  for (let before = -1, now = await read(); now !== before; ) {
    await sleep(500);
    before = now;
    now = await read();
  }
}

/** As one of ten users, because one alone may not have so many. */
async function openExportOf(number: number) {
  return openExport(await makeToken('history:>', `exporter ${number % 10}`));
}

/** Asks for all large events over a socket that nobody reads. */
async function openExport(token: string) {
  const socket = connectSocket(replay.port, '127.0.0.1');
  socket.pause();
  socket.write(
    `GET /v1/events?topics=large HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\nAccept: application/x-ndjson\r\n\r\n`,
  );
  await new Promise((resolve) => socket.once('connect', resolve));
  return {
    socket,
    async readAll(): Promise<string> {
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      return Buffer.concat(chunks).toString();
    },
  };
}
