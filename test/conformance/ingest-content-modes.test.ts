import { gzipSync } from 'node:zlib';
import { CloudEvent, HTTP } from 'cloudevents';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type IngestSetup, startIngest } from './ingest-setup.ts';

const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };

let setup: IngestSetup;
beforeAll(async () => {
  setup = await startIngest();
});
afterAll(() => setup.stop());

/** Posts, expects success, and gives back what the stream holds of it. */
async function store(body: unknown, headers: Record<string, string>) {
  const answer = await setup.post(body, { headers });
  expect(answer).toMatchObject({ status: 201 });
  return { answer, message: (await setup.stored()).at(-1) };
}

describe('ingest, bare JSON', () => {
  test('type and data alone: what is missing is filled in', async () => {
    const { answer, message } = await store({ type: 'orders.paid', data: { total: 7 } }, {});
    expect(message).toMatchObject({
      subject: 'tidemark.events.orders.paid',
      event: {
        specversion: '1.0',
        source: '/users/alice',
        type: 'orders.paid',
        topic: 'orders.paid',
        publisher: 'alice',
        data: { total: 7 },
      },
    });
    const { id, time } = message?.event ?? {};
    expect(Math.abs(Date.parse(String(time)) - Date.now())).toBeLessThan(10_000);
    expect(answer.body).toEqual({
      id,
      source: '/users/alice',
      topic: 'orders.paid',
      cursor: expect.stringMatching(/^[a-z0-9]+-\d+$/),
      duplicate: false,
    });
    expect(answer.headers.get('etag')).toBe(`"${answer.body.cursor}"`);
  });

  test('attributes given: kept; publisher given: replaced by who publishes', async () => {
    const event = {
      id: 'mine',
      source: 'https://shop.example/1',
      type: 'order paid!',
      topic: 'orders.42',
      time: '2020-02-29T12:00:00.5+02:00',
      publisher: 'mallory',
    };
    const { message } = await store(event, {});
    expect(message?.event).toEqual({ ...event, specversion: '1.0', publisher: 'alice' });
  });

  test('gzip body: inflated', async () => {
    const body = gzipSync(JSON.stringify({ type: 'orders.zipped' }));
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' };
    expect((await store(body, headers)).message?.event.type).toBe('orders.zipped');
  });
});

/** CloudEvents JSON format 1.0.2, sections 3.2 and 4.3; the Base64 is filled in. */
const common = {
  specversion: '1.0',
  type: 'com.example.someevent',
  source: '/mycontext',
  time: '2018-04-05T17:31:00Z',
  comexampleextension1: 'value',
  comexampleothervalue: 5,
};
const examples = [
  {
    ...common,
    id: 'A234-1234-1234',
    datacontenttype: 'application/vnd.apache.thrift.binary',
    data_base64: 'AAEC/w==',
  },
  {
    ...common,
    id: 'B234-1234-1234',
    unsetextension: null,
    datacontenttype: 'application/xml',
    data: '<much wow="xml"/>',
  },
  {
    ...common,
    subject: null,
    id: 'C234-1234-1234',
    datacontenttype: 'application/json',
    data: { appinfoA: 'abc', appinfoB: 123, appinfoC: true },
  },
  { ...common, subject: null, id: 'D234-1234-1234', data: "I'm just a string" },
];

/** As the log holds it: `null` attributes are absent (section 2.2), topic and publisher are set. */
function asStored(event: Record<string, unknown>) {
  const present = Object.entries(event).filter(([, value]) => value !== null);
  return { ...Object.fromEntries(present), topic: event.type, publisher: 'alice' };
}

describe('ingest, structured and batch mode', () => {
  test.each(examples)('example $id of the specification: stored as it is', async (event) => {
    const { message } = await store(JSON.stringify(event), STRUCTURED);
    expect(message?.event).toEqual(asStored(event));
  });

  test('content type with parameters and capitals: understood', async () => {
    const headers = { 'content-type': 'Application/CloudEvents+JSON; charset=UTF-8' };
    const event = { ...common, id: 'ümläut €' };
    expect((await store(JSON.stringify(event), headers)).message?.event.id).toBe('ümläut €');
  });

  test('data null: kept, as a payload that is null', async () => {
    const { message } = await store(
      JSON.stringify({ ...common, id: 'null', data: null }),
      STRUCTURED,
    );
    expect(message?.event).toHaveProperty('data', null);
  });

  test('batch: each item answered and stored in order', async () => {
    const items = examples.map((event) => ({ ...event, source: '/batch' }));
    const { answer } = await store(JSON.stringify(items), BATCH);
    expect(answer.body.map(({ id }: { id: string }) => id)).toEqual(items.map(({ id }) => id));
    expect(answer.headers.has('etag')).toBe(false);
    const messages = (await setup.stored()).slice(-items.length);
    expect(messages.map(({ event }) => event)).toEqual(items.map(asStored));
    expect(answer.body.map(({ cursor }: { cursor: string }) => cursor.split('-')[1])).toEqual(
      messages.map(({ sequence }) => String(sequence)),
    );
  });

  test('empty batch (section 4.3): answered with an empty array', async () => {
    expect((await setup.post('[]', { headers: BATCH })).body).toEqual([]);
  });
});

describe('ingest, binary mode', () => {
  const attributes = {
    'ce-specversion': '1.0',
    'ce-type': 'com.example.someevent',
    'ce-source': '/binary',
  };

  test.each([
    ['application/json', '{"a":[1]}', { data: { a: [1] } }],
    ['application/vnd.x+json', '"text"', { data: 'text' }],
    ['text/plain', 'grüße', { data: 'grüße' }],
    ['application/octet-stream', Buffer.from([0, 255, 10]), { data_base64: 'AP8K' }],
    ['image/png', '', {}],
  ])('body of type %s: becomes the data', async (contentType, body, expected) => {
    const headers = { ...attributes, 'ce-id': contentType, 'content-type': contentType };
    const { message } = await store(body, headers);
    expect(message?.event).toEqual({
      specversion: '1.0',
      type: 'com.example.someevent',
      source: '/binary',
      id: contentType,
      datacontenttype: contentType,
      topic: 'com.example.someevent',
      publisher: 'alice',
      ...expected,
    });
  });

  test('percent-encoded and quoted values (section 3.1.3.2): decoded', async () => {
    const headers = {
      ...attributes,
      'content-type': 'text/plain',
      'ce-id': 'Euro%20%E2%82%AC%20%F0%9F%98%80',
      'ce-subject': '"quoted \\"text\\""',
    };
    const { message } = await store('x', headers);
    expect(message?.event).toMatchObject({ id: 'Euro € 😀', subject: 'quoted "text"' });
  });
});

describe('ingest, the cloudevents SDK as encoder', () => {
  const event = new CloudEvent({
    type: 'sdk.event',
    source: 'https://sdk.example/source',
    subject: 'a subject with ünicode',
    topic: 'sdk.topic',
    dataschema: 'https://sdk.example/schema',
    data: { list: [1, 'zwei', null], nested: { ok: true } },
    datacontenttype: 'application/json',
  });
  const expected = { ...JSON.parse(JSON.stringify(event)), publisher: 'alice' };

  test.each([
    ['structured', () => HTTP.structured(event)],
    ['binary', () => HTTP.binary(event)],
  ])('%s: stored as the SDK meant it', async (mode, encode) => {
    const { headers, body } = encode();
    const source = `https://sdk.example/${mode}`;
    const sent = mode === 'binary' ? String(body) : String(body).replace(event.source, source);
    const { message } = await store(sent, {
      ...(headers as Record<string, string>),
      ...(mode === 'binary' && { 'ce-source': source }),
    });
    expect(message?.event).toEqual({ ...expected, source });
  });

  test('batch: what was stored is read back by the SDK', async () => {
    const events = [1, 2, 3].map((number) => event.cloneWith({ id: `batch-${number}` }));
    await store(`[${events.map((item) => JSON.stringify(item)).join(',')}]`, BATCH);
    const messages = (await setup.stored()).slice(-3);
    const decoded = messages.map((message) =>
      HTTP.toEvent({ headers: STRUCTURED, body: JSON.stringify(message.event) }),
    );
    expect(decoded).toMatchObject(events.map(({ id, data, topic }) => ({ id, data, topic })));
  });
});

describe('ingest, trace context', () => {
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const other = '00-11111111111111111111111111111111-2222222222222222-01';

  test('header alone: on the message and in the event', async () => {
    const { message } = await store({ type: 'traced' }, { traceparent });
    expect(message).toMatchObject({ traceparent, event: { traceparent } });
  });

  test('header and attribute: the attribute stays, the message carries the header', async () => {
    const { message } = await store({ type: 'traced', traceparent: other }, { traceparent });
    expect(message).toMatchObject({ traceparent, event: { traceparent: other } });
  });

  test('tracestate: with the header: on the message and in the event, as it came', async () => {
    const tracestate = 'rojo=00f067aa0ba902b7,congo=t61rcWkgMzE';
    const { message } = await store({ type: 'traced' }, { traceparent, tracestate });
    const context = { traceparent, tracestate };
    expect(message).toMatchObject({ ...context, event: context });
    const lone = await store({ type: 'traced' }, { tracestate });
    expect(lone.message?.tracestate).toBe('');
    expect(lone.message?.event).not.toHaveProperty('tracestate');
  });

  test('malformed header: counts as absent', async () => {
    const { message } = await store({ type: 'traced' }, { traceparent: '00-rubbish-01' });
    expect(message?.traceparent).toBe('');
    expect(message?.event).not.toHaveProperty('traceparent');
  });
});
