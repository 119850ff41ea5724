import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import {
  createNatsPublisher,
  type NatsPublisher,
  type NatsPublisherOptions,
} from '@tidemark/publisher/nats';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { publisherError } from '../support/library-publishers.ts';
import { NATS_PASSWORD } from '../support/nats-server.ts';
import { metric, type System, startSystem, streamEvents, untilHead } from '../support/system.ts';
import { until } from '../support/until.ts';

/* `@tidemark/publisher/nats`: past ingest, with a user of infra/nats/publishers.conf; PROTOCOL.md section 12. */

let system: System;
let connection: NatsConnection;
const publishers: NatsPublisher[] = [];
beforeAll(async () => {
  system = await startSystem();
  connection = await connectAsPublisher();
});
afterEach(async () => {
  for (const publisher of publishers.splice(0)) await publisher.close({ withinMs: 0 });
});
afterAll(async () => {
  await connection.close();
  await system.stop();
});

/** May publish to `direct.>` alone, and has no API of JetStream. */
function connectAsPublisher(): Promise<NatsConnection> {
  return connect({
    servers: system.nats.url,
    user: 'tidemark-publisher',
    pass: NATS_PASSWORD,
    inboxPrefix: '_INBOX.tidemark-publisher',
    maxReconnectAttempts: -1,
    reconnectTimeWait: 100,
  });
}

function open(options: Partial<NatsPublisherOptions> = {}): NatsPublisher {
  const publisher = createNatsPublisher({ connection, source: '/direct', ...options });
  publishers.push(publisher);
  return publisher;
}

async function dataOf(prefix: string): Promise<unknown[]> {
  const events = await streamEvents(system.nats.url);
  return events.filter(({ topic }) => topic.startsWith(prefix)).map(({ data }) => data);
}

const numbers = (count: number) => Array.from({ length: count }, (_, n) => n);

test('event: is stored, and clients receive it', async () => {
  await untilHead(system);
  const listener = system.listen('websocket', { topics: 'direct.first' });
  await until(() => listener.live);
  const event = { type: 'order.paid', id: ' own ', data: { total: 7 } };
  const answer = await open().publish('direct.first', event);
  expect(answer).toEqual({
    id: ' own ',
    source: '/direct',
    topic: 'direct.first',
    duplicate: false,
  });
  await until(() => listener.events.length === 1);
  expect(listener.events[0]?.event).toMatchObject({ ...event, topic: 'direct.first' });
});

test('event with an id, again: is stored once; on another topic it is another one', async () => {
  const publisher = open();
  const event = { type: 'x', id: '1', data: 1 };
  expect(await publisher.publish('direct.a', event)).toMatchObject({ duplicate: false });
  expect(await publisher.publish('direct.a', event)).toMatchObject({ duplicate: true });
  expect(await publisher.publish('direct.b', event)).toMatchObject({ duplicate: false });
  // White space is a part of an id.
  expect(await publisher.publish('direct.a', { ...event, id: '1 ' })).toMatchObject({
    duplicate: false,
  });
});

test.each<[string, string, object, string]>([
  ['a topic that is none', 'direct.a b', { type: 'x' }, 'invalid_event'],
  ['a time that is none', 'direct.x', { type: 'x', time: 'noon' }, 'invalid_event'],
  ['an attribute that is none', 'direct.x', { type: 'x', camelCase: 1 }, 'invalid_event'],
  [
    'an event that has expired',
    'direct.x',
    { type: 'x', expires: '2001-01-01T00:00:00Z' },
    'invalid_event',
  ],
  ['an event that is too large', 'direct.x', { type: 'x', data: 'x'.repeat(300_000) }, 'too_large'],
  ['a reserved topic', 'inbox.alice', { type: 'x' }, 'forbidden'],
  ['a topic that the user may not publish to', 'orders.1', { type: 'x' }, 'forbidden'],
])('%s: is refused at once', async (_, topic, event, code) => {
  const failing = open().publish(topic, event as { type: string });
  await expect(failing).rejects.toEqual(publisherError(code, { retryable: false }));
  expect(connection.isClosed()).toBe(false);
});

test('batch with a wrong event: nothing is sent, and the place is named', async () => {
  const events = numbers(10).map((n) => ({
    topic: `direct.wrong.${n}`,
    type: 'x',
    ...(n === 7 && { time: 'noon' }),
  }));
  await expect(open().publishBatch(events)).rejects.toEqual(
    publisherError('invalid_event', {
      faults: [{ path: '[7].time', message: expect.any(String) }],
    }),
  );
  expect(await dataOf('direct.wrong')).toEqual([]);
});

test('batch with a forbidden topic: the place is named, and what can be published again', async () => {
  const topics = ['direct.some', 'orders.1', 'direct.other'];
  const failed = await open()
    .publishBatch(topics.map((topic) => ({ topic, type: 'x' })))
    .catch((reason) => reason);
  expect(failed).toEqual(
    publisherError('forbidden', { faults: [{ path: '[1]', message: expect.any(String) }] }),
  );
  expect(failed.events).toHaveLength(3);
});

test('batch and many at once: keep the order of each topic', async () => {
  const publisher = open();
  const events = numbers(3000).map((n) => ({ topic: 'direct.batch', type: 'x', data: n }));
  const calls = numbers(1000).map((n) =>
    publisher.publish(`direct.many.${n % 10}`, { type: 'x', data: n }),
  );
  expect(await publisher.publishBatch(events, { keepOrder: false })).toHaveLength(3000);
  await Promise.all(calls);
  expect(await dataOf('direct.batch')).toEqual(numbers(3000));
  const many = (await dataOf('direct.many')) as number[];
  for (let topic = 0; topic < 10; topic++) {
    expect(many.filter((n) => n % 10 === topic)).toEqual(numbers(100).map((n) => 10 * n + topic));
  }
});

test('NATS killed (SIGKILL) again and again: each event is stored once, in the order of its topic', async () => {
  const publisher = open({ attemptMs: 1000 });
  let isDone = false;
  const killing = (async () => {
    for (let kills = 0; kills < 3; kills++) {
      await sleep(200);
      await system.nats.kill('SIGKILL');
      await sleep(300 * Math.random());
      await system.nats.restart();
    }
    await sleep(200);
    isDone = true;
  })();
  let count = 0;
  const duplicates: boolean[] = [];
  while (!isDone) {
    const calls = numbers(40).map(() => {
      const n = count++;
      return publisher.publish(`direct.killed.${n % 8}`, { type: 'x', data: n });
    });
    duplicates.push(...(await Promise.all(calls)).map(({ duplicate }) => duplicate));
  }
  await killing;
  expect(duplicates).toHaveLength(count);
  const found = (await dataOf('direct.killed.')) as number[];
  expect(found.toSorted((a, b) => a - b)).toEqual(numbers(count));
  for (let topic = 0; topic < 8; topic++) {
    const own = found.filter((n) => n % 8 === topic);
    expect(own).toEqual(own.toSorted((a, b) => a - b));
  }
});

test('connection that is closed: rejects at once', async () => {
  const own = await connectAsPublisher();
  await own.close();
  await expect(open({ connection: own }).publish('direct.x', { type: 'x' })).rejects.toEqual(
    publisherError('closed', { retryable: false }),
  );
});

test('NATS away for longer than the deadline: rejects, and can be published again later', async () => {
  await system.nats.kill('SIGKILL');
  const publisher = open({ deadlineMs: 500, attemptMs: 200 });
  const failed = await publisher
    .publish('direct.late', { type: 'x', data: 1 })
    .catch((reason) => reason);
  expect(failed).toEqual(publisherError('deadline_exceeded', { retryable: true }));
  await system.nats.restart();
  await open().publishBatch(failed.events);
  expect(await dataOf('direct.late')).toEqual([1]);
});

test('everything that was stored: is valid', async () => {
  expect(await metric(system.gateway, 'gateway_feed_invalid_total')).toBe(0);
});
