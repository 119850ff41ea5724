import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Listener, TRANSPORTS, untilEvents } from '../support/clients.ts';
import {
  ids,
  metric,
  numbered,
  type System,
  sequenceOf,
  series,
  startSystem,
  storeArchived,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * Promise 3 from each of the three places that events are read from. The tail holds 200 events,
 * the stream some 700 of 300 bytes, the archive everything.
 */

const TAIL_EVENTS = 200;
const STREAM_BYTES = 300_000;

/** Stored before there was any gateway, the first of them a moment before the others. */
const EARLY = 3000;
const FIRST = 1000;
/** Stored while there is one: more than the tail holds. */
const LATE = 300;
const ALL = EARLY + LATE;

let system: System;
let cursors: string[];
let afterFirst: string;
beforeAll(async () => {
  system = await startSystem({
    gateways: 0,
    env: {
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: String(TAIL_EVENTS),
      TIDEMARK_STREAM_MAX_BYTES: String(STREAM_BYTES),
      // Many pages, so that their seams are in every test.
      TIDEMARK_GATEWAY_COLD_READS_MAX: '2',
    },
  });
  const first = await storeArchived(system, series('tiers.all', 1, FIRST));
  await sleep(20);
  afterFirst = new Date().toISOString();
  await sleep(20);
  const early = await storeArchived(system, series('tiers.all', FIRST + 1, EARLY));
  await system.startGateway();
  const late = await storeArchived(system, series('tiers.all', EARLY + 1, ALL));
  cursors = [...first, ...early, ...late].map(({ cursor }) => cursor);
});
afterAll(() => system.stop());

/** The cursor of event number `n`. */
function cursorOf(n: number): string {
  return cursors[n - 1] ?? '';
}

async function caughtUp(listener: Listener): Promise<void> {
  await until(
    () => listener.live,
    () => `live over ${listener.transport}: ${JSON.stringify(listener.received.at(-1))}`,
  );
}

test('tiers: what the following tests stand on: stream and tail hold less than there is', async () => {
  const { first, last } = await streamState(system.nats.url);
  expect(last).toBe(ALL);
  expect(first).toBeGreaterThan(1500);
  expect(first).toBeLessThan(EARLY - 200);
  expect(await metric(system.gateway, 'gateway_tail_events')).toBe(TAIL_EVENTS);
});

describe.each(TRANSPORTS)('catch-up over %s', (transport) => {
  const listen = (after: string, topics = 'tiers.all') =>
    system.listen(transport, { after, topics });

  test('catch-up: earliest, stored before any gateway existed: all, once, in order', async () => {
    const listener = listen('earliest');
    await caughtUp(listener);
    expect(listener.ids).toEqual(ids(1, ALL));
    expect(listener.events.map(({ cursor }) => cursor)).toEqual(cursors);
    expect(listener.gaps).toEqual([]);
  });

  test('catch-up: cursor older than the stream: reads the archive, then the rest', async () => {
    const listener = listen(cursorOf(1000));
    await caughtUp(listener);
    expect(listener.ids).toEqual(ids(1001, ALL));
    expect(listener.gaps).toEqual([]);
  });

  test('catch-up: cursor older than the tail: reads what is below, then the tail', async () => {
    const listener = listen(cursorOf(EARLY - 100));
    await caughtUp(listener);
    expect(listener.ids).toEqual(ids(EARLY - 99, ALL));
  });

  test('catch-up: cursor in the tail: nothing is read from elsewhere', async () => {
    const reads = await metric(system.gateway, 'gateway_cold_reads_total');
    const listener = listen(cursorOf(ALL - TAIL_EVENTS));
    await caughtUp(listener);
    expect(listener.ids).toEqual(ids(ALL - TAIL_EVENTS + 1, ALL));
    expect(await metric(system.gateway, 'gateway_cold_reads_total')).toBe(reads);
  });

  test('catch-up: every seam between the tiers, one event around it: no hole, no repeat', async () => {
    const { first } = await streamState(system.nats.url);
    for (const seam of [first, ALL - TAIL_EVENTS + 1]) {
      for (const n of [seam - 2, seam - 1, seam]) {
        const listener = listen(cursorOf(n));
        await caughtUp(listener);
        expect(listener.ids).toEqual(ids(n + 1, ALL));
        await listener.stop();
      }
    }
  });

  test('catch-up: patterns that nothing matches for long: live at the head, without a gap', async () => {
    const listener = listen('earliest', 'tiers.nothing,other.*.>');
    await caughtUp(listener);
    expect(listener.received).toEqual([{ type: 'live', cursor: cursorOf(ALL) }]);
  });

  test('catch-up: a time that only the archive reaches: exactly from there on', async () => {
    const listener = listen(afterFirst);
    await caughtUp(listener);
    expect(listener.ids).toEqual(ids(FIRST + 1, ALL));
  });
});

test('catch-up: twenty clients from everywhere while events pour in: each exactly the rest', async () => {
  const more = 1000;
  const publishing = (async () => {
    for (let n = ALL + 1; n <= ALL + more; n += 25) {
      await storeArchived(system, series('tiers.all', n, n + 24));
    }
  })();
  const starts = Array.from({ length: 20 }, (_, index) => Math.floor((index / 19) * (ALL - 1)) + 1);
  const listeners = starts.map((n, index) =>
    system.listen(index % 2 === 0 ? 'websocket' : 'sse', {
      topics: index % 3 === 0 ? '>' : 'tiers.*',
      after: cursorOf(n),
    }),
  );
  await publishing;
  for (const [index, listener] of listeners.entries()) {
    const n = starts[index] ?? 0;
    await untilEvents(listener, ALL + more - n);
    expect(listener.ids).toEqual(ids(n + 1, ALL + more));
    expect(listener.gaps).toEqual([]);
    expect(listener.connections).toBe(1);
  }
});

describe.each(TRANSPORTS)('idle over %s', (transport) => {
  test('idle: away, then everything it stood on has left tail and stream: exact', async () => {
    const topics = `idle.${transport}`;
    const listener = system.listen(transport, { topics, after: 'latest' });
    await caughtUp(listener);
    const after = listener.cursor ?? '';
    await listener.stop();
    await system.publisher.store(numbered(topics, 1));
    await storeArchived(system, series(`busy.${transport}`, 1, 1500));
    await system.publisher.store(numbered(topics, 2));
    const { first } = await streamState(system.nats.url);
    expect(first).toBeGreaterThan(sequenceOf(after) + 1);
    const second = system.listen(transport, { topics, after });
    await caughtUp(second);
    expect(second.ids).toEqual(ids(1, 2));
    expect(second.gaps).toEqual([]);
  });
});
