import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import { EVENT_BYTES_MAX } from '@tidemark/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TRANSPORTS, untilEvents } from '../support/clients.ts';
import {
  metric,
  numbered,
  type System,
  startSystem,
  streamState,
  untilHead,
} from '../support/system.ts';
import { until } from '../support/until.ts';

/* PROTOCOL.md section 12: services that publish past ingest, well and badly. */

let system: System;
let nats: NatsConnection;
beforeAll(async () => {
  system = await startSystem();
  nats = await connect({ servers: system.nats.url });
});
afterAll(async () => {
  await nats.close();
  await system.stop();
});

/** Publishes as any NATS client does, and waits for the stream. */
async function publish(
  topic: string,
  payload: string | Uint8Array,
  named: Record<string, string> = {},
): Promise<string> {
  const withHeaders = headers();
  for (const [name, value] of Object.entries(named)) withHeaders.set(name, value);
  const { seq } = await jetstream(nats).publish(`tidemark.events.${topic}`, payload, {
    headers: withHeaders,
  });
  return String(seq);
}

const BASE = { specversion: '1.0', id: '1', source: '/direct', type: 'direct.made' };
const BINARY = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': '/d', 'ce-type': 'made' };

/** What is published, and the event that clients receive. */
const valid: [what: string, payload: string | Uint8Array, Record<string, string>, object][] = [
  ['structured', JSON.stringify({ ...BASE, data: { a: 1 } }), {}, { ...BASE, data: { a: 1 } }],
  [
    'structured with its content type',
    JSON.stringify(BASE),
    { 'content-type': 'application/cloudevents+json; charset=utf-8' },
    BASE,
  ],
  ['structured over several lines', JSON.stringify({ ...BASE, data: [1] }, null, 2), {}, BASE],
  ['with CR LF', JSON.stringify(BASE, null, 2).replaceAll('\n', '\r\n'), {}, BASE],
  ['with a byte order mark', `\uFEFF${JSON.stringify(BASE)}`, {}, BASE],
  ['with another topic in it', JSON.stringify({ ...BASE, topic: 'elsewhere' }), {}, BASE],
  [
    'with line separators that JavaScript takes for line ends',
    JSON.stringify({ ...BASE, data: 'a\u2028b\u2029c\nd' }),
    {},
    { ...BASE, data: 'a\u2028b\u2029c\nd' },
  ],
  [
    'binary, JSON data',
    '{"a":1}',
    { ...BINARY, 'content-type': 'application/json' },
    { id: '1', source: '/d', type: 'made', datacontenttype: 'application/json', data: { a: 1 } },
  ],
  [
    'binary, text data',
    'grüße',
    { ...BINARY, 'content-type': 'text/plain' },
    { data: 'grüße', datacontenttype: 'text/plain' },
  ],
  [
    'binary, other data',
    new Uint8Array([0, 255, 10, 13]),
    { ...BINARY, 'content-type': 'application/octet-stream' },
    { data_base64: 'AP8KDQ==' },
  ],
  ['binary, no type, no JSON', 'plain', BINARY, { data_base64: 'cGxhaW4=' }],
  ['binary, an empty type, JSON', '[1]', { ...BINARY, 'content-type': '' }, { data: [1] }],
  [
    'binary, text in another charset',
    Buffer.from('é', 'latin1'),
    { ...BINARY, 'content-type': 'text/plain; charset=latin1' },
    { data_base64: '6Q==' },
  ],
  [
    'structured with its content type in capitals, and headers',
    JSON.stringify(BASE),
    { ...BINARY, 'content-type': 'Application/CloudEvents+JSON' },
    BASE,
  ],
  ['binary, raw UTF-8', '', { ...BINARY, 'ce-mark': 'ü 100% %C3%BC' }, { mark: 'ü 100% ü' }],
  ['binary, no data', '', { ...BINARY, 'ce-mark': 'x%20y' }, { id: '1', mark: 'x y' }],
];

const LARGEST = sized(EVENT_BYTES_MAX);

valid.push(
  ['of exactly the largest size, without a topic', LARGEST, {}, BASE],
  [
    'of exactly the largest size, with a sampled trace in the headers',
    LARGEST,
    { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'a=1' },
    { ...BASE, traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` },
  ],
  [
    'with a time in more digits than nanoseconds',
    JSON.stringify({ ...BASE, time: '2026-01-31T12:00:00.123456789012Z' }),
    {},
    { time: '2026-01-31T12:00:00.123456789012Z' },
  ],
  [
    'with data that is null beside data_base64',
    JSON.stringify({ ...BASE, data: null, data_base64: 'AA==' }),
    {},
    { data_base64: 'AA==' },
  ],
);

/** An event with this many bytes of JSON. */
function sized(bytes: number): string {
  const empty = JSON.stringify({ ...BASE, data: '' });
  return JSON.stringify({ ...BASE, data: 'x'.repeat(bytes - empty.length) });
}

const invalid: [what: string, payload: string | Uint8Array, Record<string, string>][] = [
  ['not JSON', '{"specversion":"1.0",', {}],
  ['no UTF-8', new Uint8Array([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), {}],
  ['empty', '', {}],
  ['JSON that is no object', '[1,2,3]', {}],
  ['null', 'null', {}],
  ['no CloudEvent', '{"hello":"world"}', {}],
  ['an attribute of a wrong type', JSON.stringify({ ...BASE, id: 7 }), {}],
  ['a line break in an id', JSON.stringify({ ...BASE, id: 'a\ndata: b' }), {}],
  ['larger than an event may be', sized(EVENT_BYTES_MAX + 1), {}],
  ['nested too deeply', JSON.stringify({ ...BASE }).replace('}', `,"data":${deep(100)}}`), {}],
  ['binary without a source', 'x', { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-type': 'made' }],
  ['binary, an overlong form in a header', '', { ...BINARY, 'ce-mark': '%C0%AF' }],
  ['binary, bytes in a header that are not UTF-8', '', { ...BINARY, 'ce-mark': 'x\ufffd' }],
  ['binary, data in a header', '1', { ...BINARY, 'ce-data': '2' }],
  ['binary, JSON data that is none', '{', { ...BINARY, 'content-type': 'application/json' }],
];

function deep(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels);
}

describe.each(TRANSPORTS)('over %s', (transport) => {
  test.each(valid)('direct publisher: %s: delivered live and in catch-up', async (...row) => {
    const [what, payload, named, event] = row;
    const topic = `${transport}.${what.replaceAll(/[^a-z]+/gi, '-')}`;
    const live = system.listen(transport, { topics: topic });
    await until(() => live.live);
    const sequence = await publish(topic, payload, named);
    const later = system.listen(transport, { topics: topic, after: 'earliest' });
    for (const listener of [live, later]) {
      await untilEvents(listener, 1);
      expect(listener.events[0]?.event).toMatchObject({ specversion: '1.0', ...event, topic });
      expect(listener.events[0]?.cursor.endsWith(`-${sequence}`)).toBe(true);
      await listener.stop();
    }
  });
});

test.each(invalid)(
  'direct publisher: %s: counted, skipped, and no client breaks',
  async (...row) => {
    const [what, payload, named] = row;
    const topic = `invalid.${what.replaceAll(/[^a-z]+/gi, '-')}`;
    const listeners = TRANSPORTS.map((transport) => system.listen(transport, { topics: topic }));
    for (const listener of listeners) await until(() => listener.live);
    const before = await metric(system.gateway, 'gateway_feed_invalid_total');
    const skipped = await metric(system.replay, 'projection_skipped_total');
    await publish(topic, payload, named);
    await system.publisher.store(numbered(topic, 1));
    for (const transport of TRANSPORTS) {
      listeners.push(system.listen(transport, { topics: topic, after: 'earliest' }));
    }
    for (const listener of listeners) {
      await untilEvents(listener, 1);
      expect(listener.ids).toEqual(['1']);
      expect(listener.connections).toBe(1);
      await listener.stop();
    }
    expect(await metric(system.gateway, 'gateway_feed_invalid_total')).toBe(before + 1);
    await until(async () => {
      return (await metric(system.replay, 'projection_skipped_total')) === skipped + 1;
    });
  },
);

test('direct publisher: a subject that is no topic: skipped, and cursors move past it', async () => {
  await untilHead(system);
  const listener = system.listen('websocket', { topics: '>' });
  await until(() => listener.live);
  const before = await metric(system.gateway, 'gateway_feed_invalid_total');
  for (const topic of ['ünïcode', 'a.b$c', `long.${'x'.repeat(300)}`, `${'a.'.repeat(20)}b`]) {
    await publish(topic, JSON.stringify(BASE));
  }
  const { last } = await streamState(system.nats.url);
  await until(async () => (await metric(system.gateway, 'gateway_head_sequence')) === last);
  expect(await metric(system.gateway, 'gateway_feed_invalid_total')).toBe(before + 4);
  const late = system.listen('sse', { topics: '>' });
  await until(() => late.live);
  expect(late.cursor?.endsWith(`-${last}`)).toBe(true);
  await system.publisher.store(numbered('after.it', 1));
  for (const one of [listener, late]) {
    await untilEvents(one, 1);
    expect(one.ids).toEqual(['1']);
  }
});

test('direct publisher: a message id: stored once, and none that ingest uses', async () => {
  const topic = 'direct.twice';
  const text = JSON.stringify({ ...BASE, type: topic });
  const send = () => {
    return jetstream(nats).publish(`tidemark.events.${topic}`, text, {
      msgID: `${BASE.source} ${BASE.id}`,
    });
  };
  const first = await send();
  expect(await send()).toMatchObject({ seq: first.seq, duplicate: true });
  expect(await system.publisher.store({ ...BASE, type: topic })).toMatchObject({
    duplicate: false,
  });
});

/** What no reader may get, because readers of JSON differ in it or break. */
const forbidden: [what: string, data: string][] = [
  ['60,000 levels', deep(60_000)],
  ['65 levels', deep(65)],
  ['a number out of range', '{"n":1e999}'],
  ['half of a surrogate pair', '"\\ud800"'],
  ['half of a surrogate pair as a name', '{"\\udc00":1}'],
];

test.each(forbidden)(
  'direct publisher, the topic is right, data with %s: skipped',
  async (what, data) => {
    const topic = `forbidden.${what.replaceAll(/[^a-z0-9]+/gi, '-')}`;
    const listener = system.listen('websocket', { topics: topic });
    await until(() => listener.live);
    const before = await metric(system.gateway, 'gateway_feed_invalid_total');
    await publish(topic, JSON.stringify({ ...BASE, topic }).replace(/}$/, `,"data":${data}}`));
    await system.publisher.store(numbered(topic, 1));
    const later = system.listen('sse', { topics: topic, after: 'earliest' });
    for (const one of [listener, later]) {
      await untilEvents(one, 1);
      expect(one.ids).toEqual(['1']);
    }
    expect(await metric(system.gateway, 'gateway_feed_invalid_total')).toBe(before + 1);
  },
);

test('direct publisher, an attribute that occurs twice: reaches readers once', async () => {
  const topic = 'twice.named';
  const live = streamText(topic, 'latest');
  await until(() => live.text.includes('event: live'));
  const text = JSON.stringify({ ...BASE, topic });
  await publish(topic, text.replace('{', '{"topic":"secret.of.others","id":"other",'));
  const later = streamText(topic, 'earliest');
  for (const stream of [live, later]) {
    await until(() => stream.text.includes(`"topic":"${topic}"`));
    expect(stream.text).not.toContain('secret.of.others');
    await stream.cancel();
  }
  await until(async () => (await history(topic)).includes(`"topic":"${topic}"`));
  expect(await history(topic)).not.toContain('secret.of.others');
});

test('64-bit integers in data: every digit reaches readers, from ingest, a WebSocket and past ingest', async () => {
  const topic = 'many.digits';
  const data = '{"id":9223372036854775807,"ratio":0.12345678901234567891}';
  const live = streamText(topic, 'latest');
  await until(() => live.text.includes('event: live'));
  const event = (id: string) => {
    return JSON.stringify({ ...BASE, id, topic }).replace(/}$/, `,"data":${data}}`);
  };
  const post = (body: string, headers: Record<string, string>) =>
    fetch(`${system.ingest.url}/v1/events`, {
      method: 'POST',
      headers: { authorization: `Bearer ${system.token}`, ...headers },
      body,
    });
  const structured = { 'content-type': 'application/cloudevents+json' };
  expect((await post(event('a'), structured)).status).toBe(201);
  expect((await (await post(event('a'), structured)).json()) as object).toMatchObject({
    duplicate: true,
  });
  expect((await post(event('a').replace('5807', '5806'), structured)).status).toBe(409);
  const batch = { 'content-type': 'application/cloudevents-batch+json' };
  expect((await post(`[${event('b')}]`, batch)).status).toBe(201);
  const binary = { ...BINARY, 'ce-topic': topic, 'content-type': 'application/json' };
  expect((await post(data, binary)).status).toBe(201);
  const client = system.open();
  await client.first('welcome');
  client.send(`{"type":"publish","id":"1","event":${event('c')}}`);
  await publish(topic, event('d'));
  const later = streamText(topic, 'earliest');
  for (const stream of [live, later]) {
    await until(() => stream.text.split(data).length === 6);
    await stream.cancel();
  }
  await until(async () => (await history(topic)).split(data).length === 6);
});

/** The text of an event stream so far. */
function streamText(topic: string, after: string) {
  const abort = new AbortController();
  const stream = {
    text: '',
    async cancel() {
      abort.abort();
      await reading;
    },
  };
  const read = async () => {
    const url = `${system.gateway.url}/v1/sse?topics=${topic}&after=${after}`;
    const headers = { authorization: `Bearer ${system.token}` };
    const { body } = await fetch(url, { headers, signal: abort.signal });
    for await (const bytes of body ?? []) stream.text += Buffer.from(bytes).toString();
  };
  const reading = read().catch(() => {});
  return stream;
}

test('direct publisher that names a publisher: removed; that of ingest is kept', async () => {
  const topic = 'forged.publisher';
  const live = system.listen('sse', { topics: topic });
  await until(() => live.live);
  await publish(topic, JSON.stringify({ ...BASE, topic, publisher: 'alice' }));
  await publish(topic, '1', { ...BINARY, 'ce-publisher': 'alice' });
  // A seal that nobody has made, and one of another message.
  await publish(topic, JSON.stringify({ ...BASE, topic, publisher: 'alice' }), {
    'tidemark-seal': 'A'.repeat(22),
  });
  const [sealed] = await sealOfStored(await system.publisher.store(numbered(topic, 1)));
  await publish(topic, JSON.stringify({ ...BASE, topic, publisher: 'alice' }), {
    'tidemark-seal': sealed ?? '',
  });
  const later = system.listen('websocket', { topics: topic, after: 'earliest' });
  for (const listener of [live, later]) {
    await untilEvents(listener, 5);
    const publishers = listener.events.map(({ event }) => event.publisher);
    expect(publishers).toEqual([undefined, undefined, undefined, 'tester', undefined]);
  }
  await until(async () => (await history(topic)).includes('"tester"'));
  expect(await history(topic)).not.toContain('alice');
});

async function sealOfStored({ cursor }: { readonly cursor: string }): Promise<string[]> {
  const { streams } = await jetstreamManager(nats);
  const seq = Number(/\d+$/.exec(cursor)?.[0]);
  return (await streams.getMessage(STREAM_NAME, { seq }))?.header.values('tidemark-seal') ?? [];
}

/** What replay answers about a topic, as text. */
async function history(topic: string): Promise<string> {
  const response = await fetch(`${system.replay.url}/v1/events?topics=${topic}`, {
    headers: { authorization: `Bearer ${system.token}` },
  });
  return response.text();
}
