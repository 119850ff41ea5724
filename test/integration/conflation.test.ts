import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { appendDirectly, metric, type System, sequenceOf, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md section 6.7: a subscription that is behind may ask for conflation. */

const TOPICS = 5;
const EVENTS = 1000;
const TAIL_EVENTS = 100;

function price(n: number) {
  return { id: String(n), source: '/tests/prices', type: 'price', topic: `price.${n % TOPICS}` };
}

/** Enough on one topic to fill what the kernel takes for a client that does not read. */
const FLOOD = 40_000;

function flood(n: number) {
  return { ...price(n), topic: n % 1000 === 0 ? 'rate.rare' : 'rate.busy', data: 'x'.repeat(300) };
}

describe('deliver: latest', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem({
      env: { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: String(TAIL_EVENTS) },
    });
    const events = Array.from({ length: EVENTS }, (_, index) => price(index + 1));
    await appendDirectly(system.nats.url, events);
    await until(async () => (await metric(system.gateway, 'gateway_head_sequence')) === EVENTS);
  });
  afterAll(() => system.stop());

  test('catch-up over tail and archive: the last of each topic, and how many were skipped', async () => {
    const client = system.open();
    const subscribe = { type: 'subscribe', id: 'p', topics: ['price.*'], after: 'earliest' };
    client.send({ ...subscribe, deliver: 'latest' });
    const live = await client.first('live', 'p');
    expect(client.all('event').map(({ event }) => event.id)).toEqual(
      Array.from({ length: TOPICS }, (_, index) => String(EVENTS - TOPICS + 1 + index)),
    );
    const [skipped] = client.all('skipped', 'p');
    expect(skipped?.count).toBe(EVENTS - TOPICS);
    expect(skipped?.cursor).toBe(live.cursor);
    await client.close();
  });

  test('over SSE: the same', async () => {
    const { gateway, token } = system;
    const url = `${gateway.url}/v1/sse?topics=price.*&after=earliest&deliver=latest`;
    const abort = new AbortController();
    const response = await fetch(url, {
      headers: { authorization: `Bearer ${token}` },
      signal: abort.signal,
    });
    let text = '';
    for await (const bytes of response.body ?? []) {
      text += Buffer.from(bytes).toString();
      if (text.includes('event: live')) break;
    }
    abort.abort();
    expect(text.match(/"specversion"/g)).toHaveLength(TOPICS);
    expect(text).toContain(`event: skipped\ndata: {"count":${EVENTS - TOPICS},`);
  });

  test('beside a subscription to all that overlaps: both receive all', async () => {
    const client = system.open();
    const subscribe = { type: 'subscribe', topics: ['price.1'], after: 'earliest' };
    client.send({ ...subscribe, id: 'all' });
    client.send({ ...subscribe, id: 'conflated', deliver: 'latest' });
    await client.first('live', 'all');
    await client.first('live', 'conflated');
    const received = new Set(client.all('event').map(({ event }) => event.id));
    expect(received.size).toBe(EVENTS / TOPICS);
    expect(client.all('skipped')).toEqual([]);
    await client.close();
  });

  test('a slow client: nothing twice, in order, the last of each topic, all counted', async () => {
    const client = system.open();
    client.send({ type: 'subscribe', id: 'r', topics: ['rate.*'], deliver: 'latest' });
    const { cursor } = await client.first('live', 'r');
    client.socket.pause();
    await appendDirectly(
      system.nats.url,
      Array.from({ length: FLOOD }, (_, index) => flood(index + 1)),
    );
    await until(async () => (await metric(system.gateway, 'gateway_connections_behind')) === 1);
    client.socket.resume();
    const last = new Set([`rate.busy ${FLOOD - 1}`, `rate.rare ${FLOOD}`]);
    await until(
      () => client.all('event').at(-1)?.event.id === String(FLOOD),
      'the last event of all',
    );
    const events = client.all('event');
    const sequences = events.map((message) => sequenceOf(message.cursor));
    expect(sequences).toEqual([...new Set(sequences)].sort((left, right) => left - right));
    for (const { event } of events) last.delete(`${event.topic} ${event.id}`);
    expect([...last]).toEqual([]);
    const skipped = () => client.all('skipped').reduce((sum, { count }) => sum + count, 0);
    await until(() => events.length + skipped() === FLOOD, `${FLOOD} sent or skipped`);
    expect(skipped()).toBeGreaterThan(FLOOD / 4);
    expect(sequences[0]).toBeGreaterThan(sequenceOf(cursor));
    await client.close();
  }, 90_000);

  test('a value that is none: refused', async () => {
    const client = system.open();
    client.send({ type: 'subscribe', id: 'x', topics: ['a'], deliver: 'some' });
    expect((await client.first('error', 'x')).code).toBe('invalid_message');
    await client.close();
  });
});
