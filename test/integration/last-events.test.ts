import { setTimeout as sleep } from 'node:timers/promises';
import type { CloudEvent } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Received, TRANSPORTS } from '../support/clients.ts';
import { freeze } from '../support/freeze.ts';
import { limitHeld, limitHits, makeToken } from '../support/services.ts';
import {
  appendDirectly,
  metric,
  type System,
  sequenceOf,
  startSystem,
  streamEvents,
  streamState,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import { WebSocketClient } from '../support/web-socket-client.ts';

/* `after: "last"` for subscriptions (PROTOCOL.md section 4.2). */

const TOPICS_MAX = 500;
const TAIL_EVENTS = 1000;
const HEARTBEAT_MS = 100;

/** More than sockets and kernel take, so that a client that does not read stands within its last events. */
const LARGE = 'x'.repeat(100_000);
const LARGE_TOPICS = 200;

let system: System;
let number = 0;

beforeAll(async () => {
  system = await startSystem({
    env: {
      TIDEMARK_LAST_TOPICS_MAX: String(TOPICS_MAX),
      TIDEMARK_TOMBSTONE_TYPES: 'gone',
      TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: String(TAIL_EVENTS),
      TIDEMARK_GATEWAY_HEARTBEAT_MS: String(HEARTBEAT_MS),
    },
  });
});
afterAll(() => system?.stop());

interface Stored {
  readonly topic: string;
  readonly type?: string;
  readonly data?: unknown;
}

const SOME = { some: 'data' };

function toEvent({ topic, type = 'set', data = SOME }: Stored) {
  const event = { id: String(++number), source: '/tests/last', type, topic };
  return data === null ? event : { ...event, data };
}

async function append(...events: readonly Stored[]): Promise<void> {
  await appendDirectly(system.nats.url, events.map(toEvent));
}

/** Also waits for the archive. */
async function store(...events: readonly Stored[]): Promise<void> {
  await append(...events);
  const { last } = await streamState(system.nats.url);
  await until(async () => (await metric(system.replay, 'projection_position')) >= last);
  await until(async () => (await metric(system.gateway, 'gateway_head_sequence')) >= last);
}

async function untilLive(received: readonly Received[]): Promise<void> {
  await until(() => received.some(({ type }) => type === 'live'));
}

const eventsOf = (received: readonly Received[], type: 'last' | 'event') =>
  received.flatMap((one) => (one.type === type && 'event' in one ? [one.event] : []));
const topicsOf = (events: readonly CloudEvent[]) => events.map(({ topic }) => topic);

describe.each(TRANSPORTS)('last events over %s', (transport) => {
  const own = (name: string) => `${transport}.${name}`;

  test('the newest of each topic in the order of the log, then live, then all others', async () => {
    await store(...['1', '2', '1', '3', '2', '1'].map((name) => ({ topic: own(`a.${name}`) })));
    const { received } = system.listen(transport, { topics: own('a.*'), after: 'last' });
    await untilLive(received);
    expect(received.map(({ type }) => type)).toEqual(['last', 'last', 'last', 'live']);
    expect(topicsOf(eventsOf(received, 'last'))).toEqual([own('a.3'), own('a.2'), own('a.1')]);
    await append({ topic: own('a.2') }, { topic: own('a.new') });
    await until(() => received.length === 6);
    expect(topicsOf(eventsOf(received, 'event'))).toEqual([own('a.2'), own('a.new')]);
  });

  test('no topic yet: live at once, then the first event', async () => {
    const { received } = system.listen(transport, { topics: own('none.*'), after: 'last' });
    await untilLive(received);
    await append({ topic: own('none.1') });
    await until(() => received.length === 2);
    expect(received.map(({ type }) => type)).toEqual(['live', 'event']);
  });

  test('types and tombstones', async () => {
    await store(
      { topic: own('t.1'), type: 'order.paid' },
      { topic: own('t.2'), type: 'order.paid' },
      { topic: own('t.1'), type: 'note' },
      { topic: own('t.2'), type: 'gone', data: null },
      { topic: own('t.3'), type: 'gone' },
    );
    const all = system.listen(transport, { topics: own('t.*'), after: 'last' });
    const some = system.listen(transport, { topics: own('t.*'), after: 'last', types: 'order.*' });
    await untilLive(all.received);
    await untilLive(some.received);
    expect(topicsOf(eventsOf(all.received, 'last'))).toEqual([own('t.1'), own('t.3')]);
    expect(topicsOf(eventsOf(some.received, 'last'))).toEqual([own('t.1'), own('t.2')]);
  });

  test('under a write load: every client has the state as of one position and every event after it', async () => {
    const topics = Array.from({ length: 40 }, (_, index) => own(`load.${index}`));
    await append(...topics.map((topic) => ({ topic })));
    let writing = true;
    const writer = (async () => {
      for (let round = 0; writing; round++) {
        const some = topics.filter((_, index) => (index * 7 + round) % 5 === 0);
        await append(...some.map((topic) => ({ topic })));
      }
    })();
    const listeners = [];
    for (let client = 0; client < 25; client++) {
      listeners.push(system.listen(transport, { topics: own('load.*'), after: 'last' }));
      await sleep(20);
    }
    for (const { received } of listeners) await untilLive(received);
    await sleep(200);
    writing = false;
    await writer;
    const log = (await streamEvents(system.nats.url)).filter(({ topic }) =>
      topic.startsWith(own('load.')),
    );
    const end = log.at(-1)?.id;
    for (const { received } of listeners) {
      await until(() => received.some((one) => one.type === 'event' && one.event.id === end));
      const last = eventsOf(received, 'last').map(({ id }) => id);
      const rest = eventsOf(received, 'event').map(({ id }) => id);
      const later = log.slice(-rest.length).map(({ id }) => id);
      expect(rest).toEqual(later);
      const before = log.slice(0, log.length - rest.length);
      const newest = new Map(before.map(({ topic, id }) => [topic, id]));
      const inOrder = before.filter(({ topic, id }) => newest.get(topic) === id);
      expect(last).toEqual(inOrder.map(({ id }) => id));
      expect(last).toHaveLength(topics.length);
    }
    await Promise.all(listeners.map((listener) => listener.stop()));
  }, 60_000);
});

describe('last events', () => {
  beforeAll(async () => {
    for (let index = 0; index < LARGE_TOPICS; index++) {
      await append({ topic: `large.${index}`, data: LARGE });
    }
    await store({ topic: 'large.0', data: LARGE });
  });

  /** A client that stops to read in the middle of its last events. */
  async function pausedClient(topics = ['large.*']): Promise<WebSocketClient> {
    const client = system.open({
      onMessage: () => {
        if (client.all('last').length === 3) client.socket.pause();
      },
    });
    client.send({ type: 'subscribe', id: 's', topics, after: 'last' });
    await until(() => client.all('last').length >= 3);
    return client;
  }

  const largeTopics = (client: WebSocketClient) =>
    client.all('last', 's').map(({ event }) => event.topic);
  const expected = [
    ...Array.from({ length: LARGE_TOPICS - 1 }, (_, index) => `large.${index + 1}`),
    'large.0',
  ];

  test('over WebSocket: subscribed names the position, each message its subscription and its cursor', async () => {
    const client = system.open();
    client.send({ type: 'subscribe', id: 's', topics: ['large.*'], after: 'last' });
    const { cursor } = await client.first('live', 's');
    const [subscribed] = client.all('subscribed');
    expect(sequenceOf(subscribed?.cursor ?? '')).toBeLessThanOrEqual(sequenceOf(cursor));
    expect(largeTopics(client)).toEqual(expected);
    const cursors = client.all('last').map((one) => sequenceOf(one.cursor));
    expect(cursors).toEqual(cursors.toSorted((left, right) => left - right));
    expect(cursors.at(-1)).toBeLessThanOrEqual(sequenceOf(subscribed?.cursor ?? ''));
    await client.close();
  });

  test('a client that does not read: holds no event meanwhile, gets no cursor, and then everything once', async () => {
    const client = await pausedClient();
    await append({ topic: 'large.5' }, { topic: 'other' });
    await sleep(HEARTBEAT_MS * 10);
    client.socket.resume();
    await client.first('live', 's');
    expect(largeTopics(client)).toEqual(expected);
    expect(client.all('event').map(({ event }) => event.topic)).toEqual(['large.5']);
    const types = client.messages.map(({ type }) => type);
    expect(types.lastIndexOf('last')).toBeLessThan(types.indexOf('event'));
    const early = client.messages.slice(0, types.lastIndexOf('last'));
    for (const one of early) expect(one.type === 'heartbeat' && one.cursor).toBeFalsy();
    await client.close();
  });

  test('cut off in the middle: whoever comes back without a cursor gets the whole state again', async () => {
    const client = await pausedClient();
    client.socket.terminate();
    await append({ topic: 'large.7' });
    const again = system.open();
    again.send({ type: 'subscribe', id: 's', topics: ['large.*'], after: 'last' });
    await again.first('live', 's');
    const state = new Set([
      ...largeTopics(again),
      ...again.all('event').map(({ event }) => event.topic),
    ]);
    expect([...state].sort()).toEqual([...expected].sort());
    await again.close();
  });

  test('over SSE: no id before the state is complete, so that every client comes back for all of it', async () => {
    const leaving = new AbortController();
    const answer = await fetch(`${system.gateway.url}/v1/sse?topics=large.*&after=last`, {
      headers: { authorization: `Bearer ${system.token}` },
      signal: leaving.signal,
    });
    let text = '';
    for await (const bytes of answer.body ?? []) {
      text += Buffer.from(bytes).toString();
      if (text.includes('event: live')) break;
    }
    leaving.abort();
    const state = text.slice(0, text.lastIndexOf('"topic":"large.0"'));
    expect(state).toMatch(/^retry: \d+\n(?::\n)*event: position\ndata: \{"cursor":"[^"]+"\}\n\n/);
    expect(state).not.toMatch(/^id/m);
    expect(text).toMatch(/event: live\ndata: .*\nid: /);
  });

  test('beside a live subscription that overlaps: it is held back, and each event is for both once', async () => {
    const client = await (async () => {
      const opened = system.open({
        onMessage: () => {
          if (opened.all('last').length === 3) opened.socket.pause();
        },
      });
      opened.send({ type: 'subscribe', id: 'live', topics: ['large.1', 'apart'] });
      await opened.first('live', 'live');
      opened.send({ type: 'subscribe', id: 's', topics: ['large.*'], after: 'last' });
      await until(() => opened.all('last').length >= 3);
      return opened;
    })();
    await append({ topic: 'large.1' }, { topic: 'apart' }, { topic: 'large.2' });
    client.socket.resume();
    await client.first('live', 's');
    await until(() => client.all('event').length === 3);
    expect(client.all('event').map(({ event }) => event.topic)).toEqual([
      'large.1',
      'apart',
      'large.2',
    ]);
    const types = client.messages.map(({ type }) => type);
    expect(types.lastIndexOf('last')).toBeLessThan(types.indexOf('event'));
    await client.close();
  });

  test('unsubscribed or gone in the middle: its memory is free, and others go on', async () => {
    const held = () => limitHeld(system.gateway, 'last_bytes');
    await until(async () => (await held()) === 0);
    const client = await pausedClient();
    const other = await pausedClient();
    await until(async () => (await held()) >= 2 * 8 * LARGE_TOPICS);
    client.send({ type: 'unsubscribe', id: 's' });
    other.socket.terminate();
    await until(async () => (await held()) === 0);
    client.socket.resume();
    await client.first('unsubscribed', 's');
    const count = client.all('last').length;
    await sleep(200);
    expect(client.all('last').length).toBe(count);
    expect(count).toBeLessThan(LARGE_TOPICS);
    await client.close();
  });

  test('too many topics: a typed error that is counted, over both transports', async () => {
    await store(
      ...Array.from({ length: TOPICS_MAX + 1 }, (_, index) => ({ topic: `many.${index}` })),
    );
    const hits = await limitHits(system.gateway, 'last_topics');
    const client = system.open();
    client.send({ type: 'subscribe', id: 's', topics: ['many.*'], after: 'last' });
    const error = await client.first('error', 's');
    expect(error).toMatchObject({ code: 'limit_exceeded', retryable: false });
    expect(client.all('subscribed')).toEqual([]);
    // The id is free, and the connection goes on.
    client.send({ type: 'subscribe', id: 's', topics: ['many.1'], after: 'last' });
    await client.first('live', 's');
    await client.close();
    const sse = await fetch(`${system.gateway.url}/v1/sse?topics=many.*&after=last`, {
      headers: { authorization: `Bearer ${system.token}` },
    });
    expect(await sse.text()).toContain('"code":"limit_exceeded"');
    expect(await limitHits(system.gateway, 'last_topics')).toBe(hits + 2);
  });

  test('without permission: refused before anything is read', async () => {
    const token = await makeToken('subscribe:mine.*');
    const client = new WebSocketClient(system.gateway.url, { token });
    client.send({ type: 'subscribe', id: 's', topics: ['many.1'], after: 'last' });
    expect(await client.first('error', 's')).toMatchObject({ code: 'forbidden' });
    await client.close();
  });

  test('an archive that stands still: behind the tail a retryable error, within it a state and all since', async () => {
    await store({ topic: 'still.1' }, { topic: 'still.2' });
    await freeze(system.replay.pid);
    const waiting = system.open();
    try {
      await append({ topic: 'still.1' });
      await append(...Array.from({ length: TAIL_EVENTS + 10 }, () => ({ topic: 'filler' })));
      await until(async () => (await metric(system.gateway, 'gateway_tail_events')) <= TAIL_EVENTS);
      waiting.send({ type: 'subscribe', id: 's', topics: ['still.*'], after: 'last' });
      const error = await waiting.first('error', 's');
      expect(error).toMatchObject({ code: 'unavailable', retryable: true });
    } finally {
      process.kill(system.replay.pid, 'SIGCONT');
    }
    const topics = () =>
      waiting.messages.flatMap((one) => ('event' in one ? [one.event.topic] : []));
    await until(async () => {
      if (waiting.all('live', 's').length > 0) return true;
      if (waiting.all('error', 's').length > 0) {
        waiting.messages.length = 0;
        waiting.send({ type: 'subscribe', id: 's', topics: ['still.*'], after: 'last' });
      }
      return false;
    });
    expect(topics().at(-1)).toBe('still.1');
    expect(new Set(topics())).toEqual(new Set(['still.1', 'still.2']));
    await waiting.close();
  }, 60_000);
});
