import { setTimeout as sleep } from 'node:timers/promises';
import { EVENT_BYTES_MAX } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Listener, TRANSPORTS, untilEvents } from '../support/clients.ts';
import {
  ids,
  numbered,
  publishUntil,
  type System,
  series,
  startSystem,
  streamEvents,
  streamState,
  untilHead,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/*
 * The promises of PROTOCOL.md that hold while nothing fails. The tiers, the failures and the
 * limits have files of their own.
 */

let system: System;
beforeAll(async () => {
  system = await startSystem({ gateways: 2, env: { TIDEMARK_GATEWAY_HEARTBEAT_MS: '200' } });
});
afterAll(() => system.stop());

/** Stops the listener and tells where it stood. */
async function leave(listener: Listener): Promise<string> {
  await listener.stop();
  return listener.cursor ?? '';
}

describe('promise 1, append', () => {
  test('append: 201: the stream holds the event', async () => {
    const before = await streamState(system.nats.url);
    const stored = await system.publisher.store(numbered('append.once', 1));
    expect((await streamState(system.nats.url)).last).toBe(before.last + 1);
    expect(stored.cursor).toMatch(new RegExp(`-${before.last + 1}$`));
    expect((await streamEvents(system.nats.url)).at(-1)).toMatchObject(numbered('append.once', 1));
  });

  test('append: repeated: stored once, duplicate with the first cursor', async () => {
    const listener = system.listen('websocket', { topics: 'append.twice' });
    await until(() => listener.live);
    const first = await system.publisher.store(numbered('append.twice', 1));
    await system.publisher.store(numbered('append.twice', 2));
    const again = await system.publisher.store(numbered('append.twice', 1));
    expect(first.duplicate).toBe(false);
    expect(again).toEqual({ ...first, duplicate: true });
    await system.publisher.store(numbered('append.twice', 3));
    await untilEvents(listener, 3);
    expect(listener.ids).toEqual(ids(1, 3));
  });
});

describe.each(TRANSPORTS)('%s', (transport) => {
  const topic = (name: string) => `${transport}.${name}`;

  test('order: four publishers on four topics at once: received in stream order', async () => {
    const listener = system.listen(transport, { topics: topic('order.*') });
    await until(() => listener.live);
    const before = (await streamEvents(system.nats.url)).length;
    await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (name, index) => {
        for (const event of series(topic(`order.${name}`), index * 100 + 1, index * 100 + 50)) {
          await system.publisher.store(event);
        }
      }),
    );
    await untilEvents(listener, 200);
    const stored = (await streamEvents(system.nats.url)).slice(before);
    expect(listener.ids).toEqual(stored.map(({ id }) => id));
    expect(new Set(listener.ids).size).toBe(200);
  });

  test('no silent loss: away while events pass: all of them on return, then live', async () => {
    const topics = topic('return');
    const first = system.listen(transport, { topics });
    await until(() => first.live);
    await system.publisher.storeAll(series(topics, 1, 20));
    await untilEvents(first, 20);
    const after = await leave(first);
    await system.publisher.storeAll(series(topics, 21, 50));

    const second = system.listen(transport, { topics, after });
    await until(() => second.live);
    expect(second.ids).toEqual(ids(21, 50));
    await system.publisher.storeAll(series(topics, 51, 60));
    await untilEvents(second, 40);
    expect(second.ids).toEqual(ids(21, 60));
    expect(first.ids).toEqual(ids(1, 20));
  });

  test('no duplicates: cut off in the middle of a burst, ten times: each event once', async () => {
    const topics = topic('cuts');
    let done = false;
    const publishing = publishUntil(() => done, topics, system.publisher);
    const received: string[] = [];
    let after = 'earliest';
    for (let cut = 1; cut <= 10; cut++) {
      const listener = system.listen(transport, { topics, after });
      await untilEvents(listener, 20);
      after = await leave(listener);
      received.push(...listener.ids);
    }
    done = true;
    const count = (await publishing).length;
    const last = system.listen(transport, { topics, after });
    await untilEvents(last, count - received.length);
    expect([...received, ...last.ids]).toEqual(ids(1, count));
  });

  test('first cursor: nothing received yet: what is missed arrives on return', async () => {
    const topics = topic('first');
    const first = system.listen(transport, { topics });
    await until(() => first.idleCursors.length > 0);
    const after = await leave(first);
    await system.publisher.storeAll(series(topics, 1, 3));
    const second = system.listen(transport, { topics, after });
    await untilEvents(second, 3);
    expect(second.ids).toEqual(ids(1, 3));
  });

  test('idle: only other topics move: the cursor moves on, and returning at it is exact', async () => {
    const topics = topic('idle');
    const listener = system.listen(transport, { topics });
    await until(() => listener.live);
    const stored = await system.publisher.storeAll(series(topic('busy'), 1, 10));
    const passed = stored.at(-1)?.cursor ?? '';
    await until(() => listener.idleCursors.includes(passed));
    expect(listener.received).toEqual([{ type: 'live', cursor: listener.idleCursors[0] }]);
    const after = await leave(listener);
    expect(after).toBe(passed);

    await system.publisher.store(numbered(topics, 1));
    const second = system.listen(transport, { topics, after });
    await untilEvents(second, 1);
    expect(second.ids).toEqual(['1']);
  });

  test('sizes: around what a frame length can say, and the largest event: intact', async () => {
    const topics = topic('sizes');
    const live = system.listen(transport, { topics });
    await until(() => live.live);
    const sizes = [
      ...Array.from({ length: 40 }, (_, index) => 65_200 + index * 10),
      EVENT_BYTES_MAX - 400,
    ];
    const events = sizes.map((size, index) => ({
      ...numbered(topics, index + 1),
      data: 'ä'.repeat(size / 2),
    }));
    for (const event of events) await system.publisher.store(event);
    const later = system.listen(transport, { topics, after: 'earliest' });
    for (const listener of [live, later]) {
      await untilEvents(listener, events.length);
      expect(listener.events.map(({ event }) => event.data)).toEqual(
        events.map(({ data }) => data),
      );
      expect(listener.connections).toBe(1);
    }
  });

  test('start: latest, earliest, a cursor, a time: each begins where it says', async () => {
    const topics = topic('start');
    const stored = await system.publisher.storeAll(series(topics, 1, 5));
    await sleep(20);
    const time = new Date().toISOString();
    await sleep(20);
    await system.publisher.storeAll(series(topics, 6, 10));
    await untilHead(system);
    const listeners = ['latest', 'earliest', stored[2]?.cursor, time, undefined].map((after) =>
      system.listen(transport, { topics, ...(after !== undefined && { after }) }),
    );
    for (const listener of listeners) await until(() => listener.live);
    await system.publisher.storeAll(series(topics, 11, 12));
    for (const listener of listeners) await until(() => listener.ids.includes('12'));
    expect(listeners.map((listener) => listener.ids)).toEqual([
      ids(11, 12),
      ids(1, 12),
      ids(4, 12),
      ids(6, 12),
      ids(11, 12),
    ]);
    for (const { gaps } of listeners) expect(gaps).toEqual([]);
  });

  test('start: a cursor beyond the end of the log: told in a gap at once, then live', async () => {
    const topics = topic('beyond');
    const { cursor } = await system.publisher.store(numbered(topics, 1));
    const from = cursor.replace(/\d+$/, '9007199254740991');
    const listener = system.listen(transport, { topics, after: from });
    await until(() => listener.live);
    expect(listener.received).toMatchObject([
      { type: 'gap', from, to: cursor, reason: 'future' },
      { type: 'live', cursor },
    ]);
    await system.publisher.store(numbered(topics, 2));
    await untilEvents(listener, 1);
    expect(listener.ids).toEqual(['2']);
  });

  test('start: a time with an offset, before and after everything: earliest, and latest', async () => {
    const topics = topic('times');
    await system.publisher.store(numbered(topics, 1));
    await untilHead(system);
    const listeners = ['2001-01-01T00:00:00+02:00', '2999-01-01T00:00:00Z'].map((after) =>
      system.listen(transport, { topics, after }),
    );
    for (const listener of listeners) await until(() => listener.live);
    await system.publisher.store(numbered(topics, 2));
    for (const listener of listeners) await until(() => listener.ids.includes('2'));
    expect(listeners.map((listener) => listener.ids)).toEqual([['1', '2'], ['2']]);
  });
});

test('cursor: taken to the other transport and the other gateway: it goes on exactly there', async () => {
  const topics = 'carried';
  const received: string[] = [];
  let after = (await system.publisher.store(numbered('other', 1))).cursor;
  for (let hop = 0; hop < 6; hop++) {
    await system.publisher.storeAll(series(topics, hop * 10 + 1, hop * 10 + 10));
    const transport = hop % 2 === 0 ? 'websocket' : 'sse';
    const urls = [system.gateways[hop % 3 === 0 ? 0 : 1]?.url ?? ''];
    const listener = system.listen(transport, { topics, after, urls });
    await untilEvents(listener, 10);
    after = await leave(listener);
    received.push(...listener.ids);
  }
  expect(received).toEqual(ids(1, 60));
});
