import { gzipSync } from 'node:zlib';
import { signToken } from '@tidemark/auth';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { makeToken, TEST_SECRET } from '../support/services.ts';
import { type IngestSetup, type PostOptions, startIngest } from './ingest-setup.ts';

const JSON_TYPE = { 'content-type': 'application/json' };
const STRUCTURED = { 'content-type': 'application/cloudevents+json' };
const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
const BODY_BYTES_MAX = 300 * 1024;
const EVENT_BYTES_MAX = 256 * 1024;
const BATCH_EVENTS_MAX = 5;

let setup: IngestSetup;
beforeAll(async () => {
  const env = {
    TIDEMARK_INGEST_BODY_BYTES_MAX: String(BODY_BYTES_MAX),
    TIDEMARK_INGEST_BATCH_EVENTS_MAX: String(BATCH_EVENTS_MAX),
    TIDEMARK_LOG_LEVEL: 'trace',
  };
  setup = await startIngest({ env });
});
afterAll(() => setup.stop());

// Whatever a test sends: it changes nothing.
afterEach(async () => expect(await setup.stored()).toEqual([]));

const good = { specversion: '1.0', id: 'good', source: '/bad-input', type: 'good' };

async function refused(body: unknown, options: PostOptions) {
  const answer = await setup.post(body, options);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  expect(answer.body).toMatchObject({
    code: expect.any(String),
    message: expect.any(String),
    retryable: expect.any(Boolean),
  });
  const { code, message, faults } = answer.body;
  return { status: answer.status, code, message, paths: faults?.map(pathOf), faults };
}

const pathOf = ({ path }: { path: string }) => path;

describe('ingest, text that is no JSON', () => {
  test.each<[string, string | Uint8Array, Record<string, string>]>([
    ['empty', '', JSON_TYPE],
    ['cut off', '{"type": "a', JSON_TYPE],
    ['a comma too many', '{"type": "a",}', STRUCTURED],
    ['rubbish in a batch', '[{},', BATCH],
    ['not UTF-8', Buffer.from('{"type":"\xff"}', 'latin1'), JSON_TYPE],
    ['binary mode that calls itself JSON', '{', { ...JSON_TYPE, 'ce-id': '1' }],
  ])('%s: 400 invalid_json', async (_, body, headers) => {
    expect(await refused(body, { headers })).toMatchObject({ status: 400, code: 'invalid_json' });
  });
});

describe('ingest, attributes', () => {
  test('none at all: each required one is named', async () => {
    const { status, code, paths } = await refused('{}', { headers: STRUCTURED });
    expect([status, code]).toEqual([400, 'invalid_event']);
    expect(paths).toEqual(['specversion', 'id', 'source', 'type']);
  });

  test('many wrong: every one is named', async () => {
    const event = {
      specversion: '0.3',
      id: '',
      source: 'not a uri',
      type: 7,
      time: 'yesterday',
      datacontenttype: 'json',
      dataschema: '/relative',
      data_base64: '%',
      topic: 'a..b',
      Upper: 'x',
      list: [],
      fraction: 1.5,
    };
    const { paths } = await refused(JSON.stringify(event), { headers: STRUCTURED });
    expect(new Set(paths)).toEqual(new Set(Object.keys(event)));
  });

  test.each([
    ['a string', '"text"'],
    ['a number', '1'],
    ['null', 'null'],
    ['an array', '[]'],
  ])('the event is %s: refused, as structured and as bare JSON', async (_, body) => {
    for (const headers of [STRUCTURED, JSON_TYPE]) {
      expect(await refused(body, { headers })).toMatchObject({ status: 400, paths: ['$'] });
    }
  });

  test('bare JSON without a type: named', async () => {
    expect((await refused({ data: 1 }, {})).paths).toEqual(['type']);
  });

  test('type that is no topic, and no topic: said so', async () => {
    const { code, message } = await refused({ type: 'order paid' }, {});
    expect(code).toBe('invalid_topic');
    expect(message).toContain('topic');
  });

  test('binary mode: each missing attribute is named', async () => {
    const headers = { 'ce-source': '/x', 'content-type': 'text/plain' };
    expect((await refused('x', { headers })).paths).toEqual(['specversion', 'id', 'type']);
  });

  test('data nested without end: 400, not a crash', async () => {
    const body = `{"type":"deep","data":${'['.repeat(20_000)}${']'.repeat(20_000)}}`;
    expect(await refused(body, { headers: JSON_TYPE })).toMatchObject({
      status: 400,
      paths: ['data'],
    });
  });
});

describe('ingest, batches', () => {
  const batch = (...items: unknown[]) => refused(JSON.stringify(items), { headers: BATCH });

  test('one bad item: named with its place, nothing stored', async () => {
    const { source: _, ...bad } = good;
    const { status, paths } = await batch(good, good, bad);
    expect([status, paths]).toEqual([400, ['[2].source']]);
  });

  test('several bad items: all are named', async () => {
    const { paths } = await batch({ ...good, id: '' }, good, 'text', { ...good, topic: '*' });
    expect(paths).toEqual(['[0].id', '[2]', '[3].topic']);
  });

  test('more faults than an answer lists: the items behind them are not read', async () => {
    const names = Array.from({ length: 50 }, (_, n) => [`A${n}`, 'x']);
    const wrong = JSON.stringify({ ...good, ...Object.fromEntries(names) });
    const answer = await refused(`[${wrong},${wrong},{"not": JSON}]`, { headers: BATCH });
    expect(answer).toMatchObject({ code: 'invalid_event', faults: { length: 100 } });
    expect(answer.message).toContain('At least 2 events are wrong');
  });

  test('an item too large or too deep: 413 or 400 with its place', async () => {
    const large = { ...good, data: 'x'.repeat(EVENT_BYTES_MAX) };
    expect(await batch(good, large)).toMatchObject({ status: 413, paths: ['[1]'] });
    const deep = JSON.stringify({ ...good, data: 0 }).replace(
      /0}$/,
      `${'['.repeat(99)}${']'.repeat(99)}}`,
    );
    expect(await batch(good, JSON.parse(deep))).toMatchObject({ status: 400, paths: ['[1]'] });
  });

  test('no array: 400', async () => {
    const answer = await refused(JSON.stringify(good), { headers: BATCH });
    expect(answer).toMatchObject({ status: 400, code: 'invalid_event', paths: ['$'] });
  });

  test('more items than allowed: 413', async () => {
    const items = Array.from({ length: BATCH_EVENTS_MAX + 1 }, () => good);
    expect(await batch(...items)).toMatchObject({ status: 413, code: 'too_large' });
  });

  test('one item that the token does not permit: 403 naming it, nothing stored', async () => {
    const token = await makeToken('publish:good');
    const items = [good, { ...good, topic: 'secret.one' }];
    const answer = await refused(JSON.stringify(items), { headers: BATCH, token });
    expect(answer).toMatchObject({ status: 403, code: 'forbidden' });
    expect(answer.message).toContain('secret.one');
  });
});

describe('ingest, sizes', () => {
  const sized = (bytes: number) => ({ type: 'large', data: 'x'.repeat(bytes) });

  test('event beyond its limit, within the body limit: 413', async () => {
    expect(await refused(sized(EVENT_BYTES_MAX), {})).toMatchObject({
      status: 413,
      code: 'too_large',
    });
  });

  test('body beyond its limit: 413', async () => {
    expect(await refused(sized(BODY_BYTES_MAX), {})).toMatchObject({
      status: 413,
      code: 'too_large',
    });
  });

  test('a few bytes of gzip that inflate to 100 MB: 413', async () => {
    const body = gzipSync(Buffer.alloc(100_000_000, 'x'));
    const headers = { ...JSON_TYPE, 'content-encoding': 'gzip' };
    expect(await refused(body, { headers })).toMatchObject({ status: 413, code: 'too_large' });
  });
});

describe('ingest, content types', () => {
  test.each<Record<string, string>>([
    {},
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'application/cloudevents+avro', 'ce-id': '1' },
    { 'content-type': 'application/cloudevents+json; charset=utf-16' },
    { 'content-type': 'application/json', 'content-encoding': 'br' },
  ])('%j: 415', async (headers) => {
    const body = Buffer.from(JSON.stringify(good));
    expect(await refused(body, { headers })).toMatchObject({
      status: 415,
      code: 'unsupported_media_type',
    });
  });
});

describe('ingest, tokens', () => {
  const expired = { secret: TEST_SECRET, subject: 'a', scope: 'publish:>', ttlSeconds: -1 };
  const forged = { ...expired, secret: `${TEST_SECRET}!`, ttlSeconds: 60 };

  test.each<[string, () => Promise<string | null>, number, string]>([
    ['none', async () => null, 401, 'unauthenticated'],
    ['rubbish', async () => 'rubbish', 401, 'unauthenticated'],
    ['forged', () => signToken(forged), 401, 'unauthenticated'],
    ['expired', () => signToken(expired), 401, 'token_expired'],
    ['only for reading', () => makeToken('subscribe:> history:>'), 403, 'forbidden'],
    ['for other topics', () => makeToken('publish:orders.* publish:goods'), 403, 'forbidden'],
    ['admin alone', () => makeToken('admin'), 403, 'forbidden'],
  ])('%s: refused, and the log shows no token', async (_, make, status, code) => {
    const token = await make();
    expect(await refused(good, { token })).toMatchObject({ status, code });
    if (token) expect(JSON.stringify(setup.ingest.logs)).not.toContain(token);
  });

  test('in the query: taken, and the log shows neither it nor the payload', async () => {
    const token = await makeToken('publish:other');
    const url = `${setup.ingest.url}/v1/events?access_token=${token}`;
    const body = JSON.stringify({ ...good, data: 'private words' });
    const response = await fetch(url, { method: 'POST', headers: JSON_TYPE, body });
    expect(response.status).toBe(403);
    const logged = JSON.stringify(setup.ingest.logs);
    expect(logged).toContain('"path":"/v1/events"');
    expect(logged).not.toContain(token);
    expect(logged).not.toContain('private words');
  });
});

test('ingest, other methods and paths: 405 with Allow, 404', async () => {
  const get = await fetch(`${setup.ingest.url}/v1/events`);
  expect([get.status, get.headers.get('allow')]).toEqual([405, 'POST']);
  expect((await fetch(`${setup.ingest.url}/v1/nothing`)).status).toBe(404);
});
