import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Answer, postTo } from '../conformance/ingest-setup.ts';
import { makeToken } from '../support/services.ts';
import { type System, startSystem } from '../support/system.ts';

/* A 201 means stored, whoever else publishes: what one publisher sends is no repeat of another's event. */

const BATCH = 'application/cloudevents-batch+json';
const STRUCTURED = 'application/cloudevents+json';

let system: System;
let nats: NatsConnection;
let alice: string;
let mallory: string;
beforeAll(async () => {
  system = await startSystem();
  nats = await connect({ servers: system.nats.url });
  alice = await makeToken('publish:shop.> publish:letters.>', 'alice');
  mallory = await makeToken('publish:shop.> publish:mallory.>', 'mallory');
});
afterAll(async () => {
  await nats.close();
  await system.stop();
});

interface Event {
  readonly id: string;
  readonly topic: string;
  readonly [attribute: string]: unknown;
}

function post(token: string, event: Event, headers: Record<string, string> = {}): Promise<Answer> {
  const whole = { specversion: '1.0', source: '/shop', type: 'shop', ...event };
  return postTo(system.ingest.url, JSON.stringify(whole), {
    token,
    headers: { 'content-type': STRUCTURED, ...headers },
  });
}

function postBatch(token: string, events: readonly Event[]): Promise<Answer> {
  const whole = events.map((event) => ({
    specversion: '1.0',
    source: '/shop',
    type: 'shop',
    ...event,
  }));
  const headers = { 'content-type': BATCH };
  return postTo(system.ingest.url, JSON.stringify(whole), { token, headers });
}

const STORED = { status: 201, body: { duplicate: false } };
const REPEATED = { status: 201, body: { duplicate: true } };
const CONFLICT = { status: 409, body: { code: 'conflict', retryable: false } };

/** The events of a topic as the stream has them. */
async function storedOn(topic: string): Promise<Record<string, unknown>[]> {
  const { streams } = await jetstreamManager(nats);
  const { state } = await streams.info(STREAM_NAME, {
    subjects_filter: `tidemark.events.${topic}`,
  });
  const count = state.subjects?.[`tidemark.events.${topic}`] ?? 0;
  const events: Record<string, unknown>[] = [];
  for (let after = 0; events.length < count; ) {
    const next = { seq: after + 1, next_by_subj: `tidemark.events.${topic}` };
    const message = await streams.getMessage(STREAM_NAME, next as { seq: number });
    if (!message) break;
    after = message.seq;
    events.push(message.json());
  }
  return events;
}

describe('an event with the source and id of another', () => {
  test.each([
    ['on another topic', 'mallory.a', 'shop.swallowed'],
    ['on the same topic', 'shop.same', 'shop.same'],
  ])('from another publisher, %s: is stored', async (_, theirs, ours) => {
    expect(await post(mallory, { id: `order-${ours}`, topic: theirs })).toMatchObject(STORED);
    const stored = await post(alice, { id: `order-${ours}`, topic: ours });
    expect(stored).toMatchObject(STORED);
    const events = await storedOn(ours);
    expect(events.map(({ publisher }) => publisher)).toContain('alice');
  });

  test('from the same publisher, to two inboxes: both are stored, in a batch too', async () => {
    const event = { id: 'news' };
    expect(await post(alice, { ...event, topic: 'letters.one' })).toMatchObject(STORED);
    expect(await post(alice, { ...event, topic: 'letters.two' })).toMatchObject(STORED);
    const batch = await postBatch(alice, [
      { ...event, topic: 'letters.three' },
      { ...event, topic: 'letters.four' },
    ]);
    expect(batch.body).toMatchObject([{ duplicate: false }, { duplicate: false }]);
    for (const name of ['one', 'two', 'three', 'four']) {
      expect(await storedOn(`letters.${name}`)).toHaveLength(1);
    }
  });

  test('demanding an empty topic: the event of another topic does not fulfil it', async () => {
    const ifEmpty = { 'if-none-match': '*' };
    expect(await post(alice, { id: 'first', topic: 'shop.b' }, ifEmpty)).toMatchObject(STORED);
    expect(await post(alice, { id: 'first', topic: 'shop.c' }, ifEmpty)).toMatchObject(STORED);
    expect(await storedOn('shop.c')).toHaveLength(1);
  });

  test('from a direct publisher that was first: is stored', async () => {
    const topic = 'shop.direct';
    const event = { specversion: '1.0', id: '1', source: '/shop', type: 'shop', topic };
    for (const msgID of ['/shop 1', '1', 'alice shop.direct /shop 1']) {
      await jetstream(nats).publish(`tidemark.events.${topic}`, JSON.stringify(event), { msgID });
    }
    expect(await post(alice, { id: '1', topic })).toMatchObject(STORED);
  });
});

test('ids that differ in white space at the end: different events', async () => {
  const ids = ['x', 'x ', 'x  ', 'x\u00a0'];
  for (const id of ids)
    expect(await post(alice, { id, topic: 'shop.space' })).toMatchObject(STORED);
  expect((await storedOn('shop.space')).map(({ id }) => id)).toEqual(ids);
});

describe('a repeat', () => {
  test('over HTTP, in a batch and over WebSocket: one event', async () => {
    const event = { id: 'one', topic: 'shop.paths', data: { a: 1, b: 2 } };
    const { body: first } = await post(alice, event);
    const batch = await postBatch(alice, [{ ...event, data: { b: 2, a: 1 } }]);
    expect(batch.body).toEqual([{ ...first, duplicate: true }]);
    const socket = system.open({ token: alice });
    await socket.first('welcome');
    const whole = { source: '/shop', type: 'shop', ...event };
    socket.send({ type: 'publish', id: 'p', event: whole });
    expect(await socket.first('published', 'p')).toMatchObject({
      cursor: first.cursor,
      duplicate: true,
    });
    expect(await storedOn('shop.paths')).toHaveLength(1);
  });

  test('of a body without a time, and with another trace: one event', async () => {
    const body = { id: 'bare', source: '/shop', type: 'shop.bare', data: 1 };
    const send = (trace: string) => {
      const traceparent = `00-${trace.repeat(32)}-${trace.repeat(16)}-01`;
      return postTo(system.ingest.url, body, { token: alice, headers: { traceparent } });
    };
    const first = await send('a');
    expect(first).toMatchObject(STORED);
    expect(await send('b')).toMatchObject({
      status: 201,
      body: { ...first.body, duplicate: true },
    });
  });

  test.each([
    ['data', { data: 2 }],
    ['type', { type: 'other' }],
    ['extension', { priority: 'high' }],
    ['subject', { subject: 'it' }],
  ])('with another %s: 409, and the first one stays', async (name, change) => {
    const event = { id: 'changed', topic: `shop.changed-${name}`, data: 1 };
    expect(await post(alice, event)).toMatchObject(STORED);
    expect(await post(alice, { ...event, ...change })).toMatchObject(CONFLICT);
    expect(await post(alice, event)).toMatchObject(REPEATED);
    expect(await storedOn(event.topic)).toMatchObject([{ data: 1 }]);
  });

  test('in a batch with other content: 409 that names the events; the others are stored', async () => {
    const topic = 'shop.batch';
    const events = ['a', 'b', 'c', 'd'].map((id) => ({ id, topic, data: 1 }));
    await postBatch(alice, events.slice(0, 3));
    const changed = events.map((event) => ({ ...event, data: event.id === 'b' ? 2 : 1 }));
    const answer = await postBatch(alice, [...changed, { id: 'a', topic, data: 3 }]);
    expect(answer).toMatchObject(CONFLICT);
    const paths = answer.body.faults.map(({ path }: { path: string }) => path);
    expect(paths).toEqual(['[1]', '[4]']);
    expect((await storedOn(topic)).map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd']);
  });

  test('of the largest batch: each event is compared, and told as a duplicate', async () => {
    const batch = Array.from({ length: 1000 }, (_, n) => ({ id: String(n), topic: 'shop.bulk' }));
    const first = await postBatch(alice, batch);
    const again = await postBatch(alice, batch);
    expect(again.status).toBe(201);
    const repeated = first.body.map((one: object) => ({ ...one, duplicate: true }));
    expect(again.body).toEqual(repeated);
  });

  test('over WebSocket with other content: an error with that code', async () => {
    const event = { id: 'ws', source: '/shop', type: 'shop', topic: 'shop.ws' };
    const socket = system.open({ token: alice });
    await socket.first('welcome');
    socket.send({ type: 'publish', id: 'p1', event });
    await socket.first('published', 'p1');
    socket.send({ type: 'publish', id: 'p2', event: { ...event, data: 'other' } });
    expect(await socket.first('error', 'p2')).toMatchObject({ code: 'conflict', retryable: false });
  });

  test('of a conditional append: a duplicate; with other content: 409', async () => {
    const topic = 'shop.condition';
    const start = await post(alice, { id: '0', topic });
    const condition = { 'if-match': `"${start.body.cursor}"` };
    const first = await post(alice, { id: '1', topic, data: 1 }, condition);
    const again = await post(alice, { id: '1', topic, data: 1 }, condition);
    expect(again).toMatchObject({ status: 201, body: { ...first.body, duplicate: true } });
    expect(await post(alice, { id: '1', topic, data: 2 }, condition)).toMatchObject(CONFLICT);
    expect(await post(mallory, { id: '1', topic, data: 1 }, condition)).toMatchObject({
      status: 412,
      body: { cursor: first.body.cursor },
    });
  });
});

test.each([
  ['a number out of range', '{"n":1e999}'],
  ['half of a surrogate pair', '"\\ud800"'],
  ['half of a surrogate pair as a name', '{"\\udc00":1}'],
])('ingest and WebSocket, data with %s: refused with a typed error', async (_, data) => {
  const topic = 'shop.forbidden';
  const event = `{"specversion":"1.0","id":"1","source":"/shop","type":"shop","topic":"${topic}","data":${data}}`;
  for (const [type, body] of [
    [STRUCTURED, event],
    ['application/json', event],
    [BATCH, `[${event}]`],
  ] as const) {
    const headers = { 'content-type': type };
    const answer = await postTo(system.ingest.url, body, { token: alice, headers });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_event' } });
  }
  const socket = system.open({ token: alice });
  await socket.first('welcome');
  socket.send(`{"type":"publish","id":"p","event":${event}}`);
  expect(await socket.first('error', 'p')).toMatchObject({ code: 'invalid_event' });
  expect(await storedOn(topic)).toEqual([]);
});

test('a repeat whose original has left the stream: still a duplicate with its cursor', async () => {
  const event = { id: 'gone', topic: 'shop.gone', data: 1 };
  const first = await post(alice, event);
  const { streams } = await jetstreamManager(nats);
  const { config } = await streams.info(STREAM_NAME);
  await streams.update(STREAM_NAME, { ...config, max_msgs: 1 });
  await post(alice, { id: 'next', topic: 'shop.gone' });
  expect(await storedOn('shop.gone')).toHaveLength(1);
  expect(await post(alice, event)).toMatchObject({
    status: 201,
    body: { ...first.body, duplicate: true },
  });
});
