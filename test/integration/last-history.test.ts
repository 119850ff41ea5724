import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startNatsServer } from '../support/nats-server.ts';
import { limitHits, type Service } from '../support/services.ts';
import {
  ask,
  askLines,
  askPage,
  type Item,
  OutsideClient,
  type Page,
  type ReplayAlone,
  range,
  sequenceOf,
  startReplay,
  startReplayAlone,
  untilProjected,
} from './replay-setup.ts';

/* `GET /v1/events?after=last` (PROTOCOL.md section 4.2). */

const TOPICS_MAX = 60;

let alone: ReplayAlone;
let client: OutsideClient;
let replay: Service;
let number = 0;

beforeAll(async () => {
  alone = await startReplayAlone({
    TIDEMARK_LAST_TOPICS_MAX: String(TOPICS_MAX),
    TIDEMARK_TOMBSTONE_TYPES: 'gone, item.deleted*',
  });
  ({ client, replay } = alone);
});
afterAll(() => alone?.stop());

async function store(topics: readonly string[], type = 'set'): Promise<number[]> {
  const from = number;
  number += topics.length;
  const published = await client.publish(range(from, number - 1), (index) => {
    return { topic: topics[index - from] ?? '', type };
  });
  const sequences = published.map(({ sequence }) => sequence);
  await untilProjected(replay, sequences.at(-1) ?? 0);
  return sequences;
}

/** A CloudEvent without data. */
async function storeEmpty(topic: string, type: string): Promise<void> {
  const { jetstream } = await import('@nats-io/jetstream');
  const event = { specversion: '1.0', id: `${number++}`, source: '/test', type, topic };
  const { seq } = await jetstream(client.connection).publish(
    `tidemark.events.${topic}`,
    JSON.stringify(event),
  );
  await untilProjected(replay, seq);
}

const shown = (items: readonly Item[]) => items.map(({ event }) => event.topic);

/** Follows `next` to the end. `between` runs before each page but the first. */
async function readAll(query: string, between = async () => {}): Promise<Page[]> {
  const pages: Page[] = [];
  for (let after = 'last'; ; ) {
    const page = await askPage(replay, `/v1/events?${query}&after=${encodeURIComponent(after)}`);
    pages.push(page);
    if (page.complete) return pages;
    after = page.next;
    await between();
  }
}

describe('last events in history', () => {
  test('the newest of each topic in the order of the log; next goes on behind them', async () => {
    await store(['a.1', 'a.2', 'a.1', 'a.3', 'a.2', 'a.1']);
    const page = await askPage(replay, '/v1/events?topics=a.*&after=last');
    expect(shown(page.items)).toEqual(['a.3', 'a.2', 'a.1']);
    expect(page).toMatchObject({ complete: true, gaps: [] });
    const [later] = await store(['a.2']);
    const rest = await askPage(replay, `/v1/events?topics=a.*&after=${page.next}`);
    expect(rest.items.map(sequenceOf)).toEqual([later]);
  });

  test('pages while events come: all as of the first position, then every event after it, once', async () => {
    const topics = range(1, 50).map((index) => `p.${index}`);
    await store([...topics, ...topics.toReversed()]);
    const later: number[] = [];
    const pages = await readAll('topics=p.*&limit=7', async () => {
      if (later.length < 20) later.push(...(await store(['p.1', 'p.new'])));
    });
    const items = pages.flatMap((page) => page.items);
    expect(shown(items.slice(0, 50))).toEqual(topics.toReversed());
    expect(items.slice(50).map(sequenceOf)).toEqual(later);
    expect(pages.length).toBeGreaterThan(8);
  });

  test('as lines: the same, with an end to go on from', async () => {
    await store(['l.1', 'l.2', 'l.1']);
    const lines = await askLines(replay, '/v1/events?topics=l.*&after=last');
    expect(lines.slice(0, -1).map((line) => (line.event as { topic: string }).topic)).toEqual([
      'l.2',
      'l.1',
    ]);
    expect(lines.at(-1)).toMatchObject({ complete: true });
    const limited = await askLines(replay, '/v1/events?topics=l.*&after=last&limit=1');
    const next = encodeURIComponent(String(limited.at(-1)?.next));
    expect(limited.at(-1)).toMatchObject({ complete: false });
    const rest = await askPage(replay, `/v1/events?topics=l.*&after=${next}`);
    expect(shown(rest.items)).toEqual(['l.1']);
  });

  test('with types: the newest event that passes, and none of a topic without one', async () => {
    await store(['t.1', 't.2'], 'order.paid');
    await store(['t.1', 't.3'], 'order.shipped');
    await store(['t.1'], 'note');
    const page = await askPage(replay, '/v1/events?topics=t.*&after=last&type=order.*');
    expect(page.items.map(({ event }) => [event.topic, event.type])).toEqual([
      ['t.2', 'order.paid'],
      ['t.1', 'order.shipped'],
      ['t.3', 'order.shipped'],
    ]);
    const none = await askPage(replay, '/v1/events?topics=t.*&after=last&type=none&source=/other');
    expect(none).toMatchObject({ items: [], complete: true });
  });

  test('tombstones: left out while they are the newest, and only without data', async () => {
    await store(['d.1', 'd.2', 'd.3', 'd.4']);
    await storeEmpty('d.1', 'item.deleted.v1');
    await storeEmpty('d.2', 'gone');
    await storeEmpty('d.3', 'other');
    await store(['d.4'], 'gone');
    const topics = async () =>
      shown((await askPage(replay, '/v1/events?topics=d.*&after=last')).items);
    expect(await topics()).toEqual(['d.3', 'd.4']);
    await store(['d.2']);
    expect(await topics()).toEqual(['d.3', 'd.4', 'd.2']);
  });

  test('no topic: empty, and with wait it goes on with the first event', async () => {
    const waiting = askPage(replay, '/v1/events?topics=w.*&after=last&wait=20s');
    const empty = await askPage(replay, '/v1/events?topics=w.*&after=last');
    expect(empty).toMatchObject({ items: [], complete: true });
    await store(['w.1']);
    expect(shown((await waiting).items)).toEqual(['w.1']);
  });

  test('too many topics: a typed error that is counted, and nothing else changes', async () => {
    await store(range(0, TOPICS_MAX).map((index) => `many.${index}`));
    const hits = await limitHits(replay, 'last_topics');
    const { status, text } = await ask(replay, '/v1/events?topics=many.*&after=last');
    expect(status).toBe(429);
    expect(JSON.parse(text)).toMatchObject({ code: 'limit_exceeded', retryable: false });
    expect(await limitHits(replay, 'last_topics')).toBe(hits + 1);
  });

  test('wrong requests: typed errors', async () => {
    for (const [query, code] of [
      ['after=last&order=desc', 'invalid_query'],
      ['after=last&from=2026-01-01T00:00:00Z', 'invalid_query'],
      ['after=last&before=x-1', 'invalid_query'],
      ['after=x-1~', 'invalid_cursor'],
      ['after=x-1~1~1', 'invalid_cursor'],
      ['after=x-1~-1', 'invalid_cursor'],
      ['after=last~1', 'invalid_cursor'],
      ['after=x-1~0', 'invalid_cursor'],
      ['after=x-1~0&order=desc', 'invalid_query'],
    ] as const) {
      const { status, text } = await ask(replay, `/v1/events?${query}`);
      expect([query, status, JSON.parse(text).code]).toEqual([query, 400, code]);
    }
    const { status } = await ask(replay, '/v1/events?topics=a.*&after=last', {
      scope: 'history:b.*',
    });
    expect(status).toBe(403);
  });

  test('a part that no archive has: a gap, which tells that the state may lack it', async () => {
    const other = await startNatsServer();
    const outside = await OutsideClient.connect(other.url);
    const small = { TIDEMARK_STREAM_MAX_BYTES: '100000', TIDEMARK_ARCHIVE_ABSENCE_SECONDS: '1' };
    const first = await startReplay(other.url, small);
    const text = 'x'.repeat(5000);
    await outside.publish(range(1, 30), (index) => ({ topic: `g.${index}`, text }));
    await untilProjected(first, 30);
    await first.stop();
    const young = await startReplay(other.url, small);
    try {
      await untilProjected(young, 30);
      let page: Page | undefined;
      while (!page) {
        page = await askPage(young, '/v1/events?topics=g.*&after=last&limit=3').catch(
          () => undefined,
        );
      }
      const [gap] = page.gaps;
      expect(gap).toMatchObject({ reason: 'expired' });
      const lost = Number(gap?.to.split('-')[1]);
      expect(lost).toBeGreaterThan(5);
      expect(page.items.map(sequenceOf)).toEqual(range(lost + 1, lost + 3));
      const after = encodeURIComponent(page.next);
      const next = await askPage(young, `/v1/events?topics=g.*&after=${after}`);
      expect(next).toMatchObject({ gaps: [], complete: true });
      expect(next.items.map(sequenceOf)).toEqual(range(lost + 4, 30));
    } finally {
      await young.stop();
      await outside.close();
      await other.stop();
    }
  }, 60_000);
});
