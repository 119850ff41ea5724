import { matches } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ids,
  metric,
  numbered,
  type System,
  sequenceOf,
  series,
  startSystem,
  untilHead,
} from '../support/system.ts';
import { until } from '../support/until.ts';
import type { Message, WebSocketClient } from '../support/web-socket-client.ts';

/* PROTOCOL.md section 6.4: several subscriptions on one connection. */

let system: System;
beforeAll(async () => {
  system = await startSystem({
    env: { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '50', TIDEMARK_GATEWAY_HEARTBEAT_MS: '200' },
  });
});
afterAll(() => system.stop());

interface Kept {
  readonly topics: readonly string[];
  readonly received: string[];
  cursor: string;
}

/** A client that tells its subscriptions apart as section 6.4 says. */
class Reader {
  readonly client: WebSocketClient;
  readonly subscriptions = new Map<string, Kept>();
  readonly #asked = new Map<string, readonly string[]>();

  constructor() {
    this.client = system.open({ onMessage: (message) => this.#receive(message) });
  }

  async subscribe(id: string, topics: string, after?: string): Promise<Kept> {
    this.#asked.set(id, topics.split(','));
    this.client.send({ type: 'subscribe', id, topics: topics.split(','), after });
    await until(() => this.subscriptions.has(id));
    return this.get(id);
  }

  get(id: string): Kept {
    const kept = this.subscriptions.get(id);
    if (!kept) throw new Error(`There is no subscription ${id}.`);
    return kept;
  }

  async live(...names: string[]): Promise<void> {
    for (const id of names) await this.client.first('live', id);
  }

  #receive(message: Message): void {
    if (message.type === 'subscribed') {
      const topics = this.#asked.get(message.id) ?? [];
      this.subscriptions.set(message.id, { topics, received: [], cursor: message.cursor });
    } else if (message.type === 'unsubscribed') {
      this.subscriptions.delete(message.id);
    } else if (message.type === 'heartbeat') {
      for (const kept of this.subscriptions.values()) advance(kept, message.cursor ?? '');
    } else if (message.type === 'event') {
      const { topic, id } = message.event;
      for (const kept of this.subscriptions.values()) {
        if (!kept.topics.some((pattern) => matches(pattern, topic))) continue;
        if (advance(kept, message.cursor)) kept.received.push(`${topic} ${id}`);
      }
    }
  }
}

function advance(kept: Kept, cursor: string): boolean {
  const further = sequenceOf(cursor) > sequenceOf(kept.cursor);
  if (further) kept.cursor = cursor;
  return further;
}

function names(topic: string, first: number, last: number): string[] {
  return ids(first, last).map((id) => `${topic} ${id}`);
}

describe('several subscriptions on one connection', () => {
  test('different starts, patterns that overlap: each receives exactly its own', async () => {
    const { publisher } = system;
    const a = await publisher.storeAll(series('many.a', 1, 200));
    const b = await publisher.storeAll(series('many.b', 1, 200));
    await untilHead(system);
    const reader = new Reader();
    await Promise.all([
      reader.subscribe('all', 'many.>', 'earliest'),
      reader.subscribe('a-late', 'many.a', a[149]?.cursor),
      reader.subscribe('a-now', 'many.a', 'latest'),
      reader.subscribe('b-tail', 'many.b', b[189]?.cursor),
      reader.subscribe('both', 'many.a,many.b', a[199]?.cursor),
      reader.subscribe('other', 'many.c', 'earliest'),
    ]);
    await publisher.storeAll(series('many.a', 201, 210));
    await publisher.storeAll(series('many.c', 1, 1));
    await reader.live('all', 'a-late', 'a-now', 'b-tail', 'both', 'other');
    await until(() => reader.get('other').received.length > 0);
    const live = names('many.a', 201, 210);
    const received = Object.fromEntries(
      [...reader.subscriptions].map(([id, kept]) => [id, kept.received]),
    );
    expect(received).toEqual({
      all: [...names('many.a', 1, 200), ...names('many.b', 1, 200), ...live, 'many.c 1'],
      'a-late': [...names('many.a', 151, 200), ...live],
      'a-now': live,
      'b-tail': names('many.b', 191, 200),
      both: [...names('many.b', 1, 200), ...live],
      other: ['many.c 1'],
    });
  });

  test('one joins from far behind while others are live and events pour in: none is hurt', async () => {
    const { publisher } = system;
    await publisher.storeAll(series('join.a', 1, 1000));
    await untilHead(system);
    const reader = new Reader();
    await reader.subscribe('a', 'join.a');
    await reader.subscribe('b', 'join.b');
    await reader.live('a', 'b');
    const publishing = (async () => {
      for (let n = 1; n <= 300; n += 10) {
        await publisher.storeAll(series('join.a', 1000 + n, 1009 + n));
        await publisher.storeAll(series('join.b', n, n + 9));
      }
    })();
    await until(() => reader.get('a').received.length > 20);
    await reader.subscribe('a-too', 'join.*', 'earliest');
    await publishing;
    await until(() => reader.get('a-too').received.at(-1) === 'join.b 300');
    expect(reader.get('a').received).toEqual(names('join.a', 1001, 1300));
    expect(reader.get('b').received).toEqual(names('join.b', 1, 300));
    const mixed = reader.get('a-too').received;
    expect(mixed.filter((name) => name.startsWith('join.a'))).toEqual(names('join.a', 1, 1300));
    expect(mixed.filter((name) => name.startsWith('join.b'))).toEqual(names('join.b', 1, 300));
  });

  test('unsubscribe: nothing of it follows, others go on, and the id is free again', async () => {
    const { publisher } = system;
    const reader = new Reader();
    await reader.subscribe('x', 'leave.x');
    await reader.subscribe('y', 'leave.y,leave.x.sub');
    await reader.live('x', 'y');
    await publisher.storeAll([...series('leave.x', 1, 3), ...series('leave.y', 1, 3)]);
    await until(() => reader.get('y').received.length === 3);
    const left = reader.get('x');
    reader.client.send({ type: 'unsubscribe', id: 'x' });
    await reader.client.first('unsubscribed', 'x');
    const before = reader.client.messages.length;
    await publisher.storeAll([...series('leave.x', 4, 6), ...series('leave.y', 4, 6)]);
    await until(() => reader.get('y').received.length === 6);
    const after = reader.client.messages.slice(before);
    expect(after.filter(({ type }) => type === 'event')).toHaveLength(3);
    expect(left.received).toEqual(names('leave.x', 1, 3));

    const again = await reader.subscribe('x', 'leave.x', left.cursor);
    await until(() => again.received.length === 3);
    expect(again.received).toEqual(names('leave.x', 4, 6));
  });

  test('unsubscribe: in the middle of a deep catch-up: it stops, and the others do not', async () => {
    await system.publisher.storeAll(series('deep', 1, 1000));
    const reader = new Reader();
    await reader.subscribe('live', 'deep.other');
    await reader.live('live');
    await reader.subscribe('deep', 'deep', 'earliest');
    reader.client.send({ type: 'unsubscribe', id: 'deep' });
    await reader.client.first('unsubscribed', 'deep');
    const before = reader.client.all('event').length;
    await system.publisher.store(numbered('deep.other', 1));
    await until(() => reader.get('live').received.length === 1);
    expect(reader.client.all('event').length).toBe(before + 1);
  });

  test('subscribed and unsubscribed without a pause: nothing is left of it, and others work', async () => {
    await system.publisher.storeAll(series('churn', 1, 500));
    const client = system.open();
    await client.first('welcome');
    for (let n = 0; n < 200; n++) {
      client.send({ type: 'subscribe', id: 'churn', topics: ['churn'], after: 'earliest' });
      client.send({ type: 'unsubscribe', id: 'churn' });
    }
    await until(() => client.all('unsubscribed').length === 200);
    expect(client.all('error')).toEqual([]);
    const reader = new Reader();
    const kept = await reader.subscribe('whole', 'churn', 'earliest');
    await reader.live('whole');
    expect(kept.received).toEqual(names('churn', 1, 500));
    const before = client.messages.length;
    await system.publisher.store(numbered('churn', 501));
    await until(() => kept.received.length === 501);
    const later = client.messages.slice(before).filter(({ type }) => type !== 'heartbeat');
    expect(later).toEqual([]);
    await until(async () => (await metric(system.gateway, 'gateway_cold_reads_waiting')) === 0);
  });

  test('idle: one is quiet while another is busy: the cursor of the quiet one moves on', async () => {
    const reader = new Reader();
    const quiet = await reader.subscribe('quiet', 'calm.quiet');
    await reader.subscribe('busy', 'calm.busy');
    await reader.live('quiet', 'busy');
    const start = quiet.cursor;
    let done = false;
    const publishing = (async () => {
      for (let n = 1; !done; n++) await system.publisher.store(numbered('calm.busy', n));
    })();
    await until(() => sequenceOf(quiet.cursor) > sequenceOf(start) + 20);
    done = true;
    await publishing;
    expect(quiet.received).toEqual([]);
  });
});

describe('publishing over WebSocket', () => {
  test('stored, answered with its cursor, received by its own subscription', async () => {
    const reader = new Reader();
    const own = await reader.subscribe('own', 'chat.*');
    await reader.live('own');
    const { client } = reader;
    client.send({ type: 'publish', id: 'p1', event: numbered('chat.lobby', 1) });
    const { cursor, duplicate } = await client.first('published', 'p1');
    expect(duplicate).toBe(false);
    client.send({ type: 'publish', id: 'p2', event: numbered('chat.lobby', 1) });
    expect(await client.first('published', 'p2')).toMatchObject({ cursor, duplicate: true });
    await until(() => own.cursor === cursor);
    expect(own.received).toEqual(['chat.lobby 1']);
    const stored = await system.publisher.store(numbered('chat.lobby', 1));
    expect(stored).toMatchObject({ cursor, duplicate: true });
  });

  test('a bare event: completed, and stored in the order in which they were sent', async () => {
    const reader = new Reader();
    await reader.subscribe('own', 'bare');
    await reader.live('own');
    for (let n = 1; n <= 50; n++) {
      reader.client.send({ type: 'publish', id: `p${n}`, event: { type: 'bare', data: n } });
    }
    await until(() => reader.client.all('published').length === 50);
    await until(() => reader.client.all('event').length === 50);
    const events = reader.client.all('event').map(({ event }) => event);
    expect(events.map(({ data }) => String(data))).toEqual(ids(1, 50));
    for (const event of events) {
      expect(event).toMatchObject({
        specversion: '1.0',
        topic: 'bare',
        source: '/users/tester',
        publisher: 'tester',
        time: expect.stringMatching(/^\d{4}-/),
      });
    }
    expect(new Set(events.map(({ id }) => id)).size).toBe(50);
  });
});
