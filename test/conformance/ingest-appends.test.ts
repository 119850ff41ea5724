import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { makeToken } from '../support/services.ts';
import { sequenceOf } from '../support/system.ts';
import { type Answer, type IngestSetup, startIngest } from './ingest-setup.ts';

const BATCH = { 'content-type': 'application/cloudevents-batch+json' };
const POSTS = 2000;
/** Connections that the posts share; more would only measure the test's own client. */
const SENDERS = 64;

let setup: IngestSetup;
beforeAll(async () => {
  setup = await startIngest();
});
afterAll(() => setup.stop());

function event(id: string, topic: string) {
  return { specversion: '1.0', id, source: `/appends/${topic}`, type: 'test', topic };
}

describe('ingest, idempotency', () => {
  test('same source and id again: stored once, told the first cursor', async () => {
    const first = await setup.post(event('once', 'idempotent'));
    await setup.post(event('other', 'idempotent'));
    const again = await setup.post(event('once', 'idempotent'));
    expect(again.status).toBe(201);
    expect(again.body).toEqual({ ...first.body, duplicate: true });
    expect(await idsOf('idempotent')).toEqual(['once', 'other']);
  });

  test('same id, other source: another event', async () => {
    const left = await setup.post({ ...event('same', 'sources'), source: '/left' });
    const right = await setup.post({ ...event('same', 'sources'), source: '/right' });
    expect([left.body.duplicate, right.body.duplicate]).toEqual([false, false]);
  });

  test('one event sent 20 times at once: stored once, every answer the same cursor', async () => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => setup.post(event('race', 'raced'))),
    );
    expect(new Set(answers.map(({ body }) => body.cursor)).size).toBe(1);
    expect(answers.filter(({ body }) => !body.duplicate)).toHaveLength(1);
    expect(await idsOf('raced')).toEqual(['race']);
  });

  test('batch sent again with one new event: only that one is stored', async () => {
    const items = ['a', 'b', 'c'].map((id) => event(id, 'batched'));
    const first = await setup.post(JSON.stringify(items.slice(0, 2)), { headers: BATCH });
    const again = await setup.post(JSON.stringify(items), { headers: BATCH });
    const duplicates = again.body.map(({ duplicate }: { duplicate: boolean }) => duplicate);
    expect(duplicates).toEqual([true, true, false]);
    expect(again.body[0].cursor).toBe(first.body[0].cursor);
    expect(await idsOf('batched')).toEqual(['a', 'b', 'c']);
  });
});

describe('ingest, the position of an answer', () => {
  const position = ({ headers }: Answer) => headers.get('tidemark-position');
  const batch = (...events: object[]) => setup.post(JSON.stringify(events), { headers: BATCH });

  test('one event, a repeat, a batch: the highest cursor', async () => {
    const first = await setup.post(event('1', 'positions'));
    expect(position(first)).toBe(first.body.cursor);
    const two = await batch(event('2', 'positions'), event('3', 'positions'));
    expect(position(two)).toBe(two.body[1].cursor);
    const mixed = await batch(event('4', 'positions'), event('1', 'positions'));
    expect(position(mixed)).toBe(mixed.body[0].cursor);
    expect(position(await setup.post(event('1', 'positions')))).toBe(first.body.cursor);
    expect(position(await batch())).toBeNull();
  });

  test('412 and 409: the cursor of what is stored, in header and body', async () => {
    const first = await setup.post(event('1', 'refusals'));
    const { cursor } = first.body;
    const headers = { 'if-none-match': '*' };
    const refused = await setup.post(event('2', 'refusals'), { headers });
    expect(position(refused)).toBe(cursor);
    const other = { ...event('1', 'refusals'), data: 'other' };
    const conflict = await setup.post(other);
    expect(conflict).toMatchObject({ status: 409, body: { code: 'conflict', cursor } });
    expect(position(conflict)).toBe(cursor);
    const part = await batch(other, event('3', 'refusals'));
    expect(part.status).toBe(409);
    expect(sequenceOf(position(part) ?? '')).toBeGreaterThan(sequenceOf(cursor));
    const empty = await setup.post(event('1', 'refusals.none'), {
      headers: { 'if-match': `"${cursor}"` },
    });
    expect(empty).toMatchObject({ status: 412, body: { cursor: null } });
    expect(position(empty)).toBeNull();
  });
});

describe('ingest, conditional append', () => {
  const ifMatch = (cursor: string) => ({ headers: { 'if-match': `"${cursor}"` } });
  const nineTags = Array.from({ length: 9 }, (_, index) => `"a-${index}"`).join(', ');
  const ifEmpty = { headers: { 'if-none-match': '*' } };

  test('If-None-Match on an empty topic: stored; on another: 412 with its last cursor', async () => {
    const first = await setup.post(event('1', 'fresh'), ifEmpty);
    expect(first.status).toBe(201);
    const second = await setup.post(event('2', 'fresh'), ifEmpty);
    expect(second.status).toBe(412);
    expect(second.body).toMatchObject({
      code: 'precondition_failed',
      retryable: false,
      cursor: first.body.cursor,
    });
    expect(await idsOf('fresh')).toEqual(['1']);
  });

  test('If-Match with the ETag of each answer: a chain', async () => {
    let cursor = (await setup.post(event('0', 'chain'), ifEmpty)).body.cursor;
    for (const id of ['1', '2', '3']) {
      const answer = await setup.post(event(id, 'chain'), ifMatch(cursor));
      expect(answer.status).toBe(201);
      cursor = answer.headers.get('etag')?.slice(1, -1);
      // What happens on other topics is no matter of this one.
      await setup.post(event(`between-${id}`, 'chain.other'));
    }
    expect(await idsOf('chain')).toEqual(['0', '1', '2', '3']);
  });

  test('If-Match with a weak tag, as nginx makes of a strong one, and with a list: one of them holds', async () => {
    const first = (await setup.post(event('1', 'tags'))).body.cursor;
    const weak = await setup.post(event('2', 'tags'), {
      headers: { 'if-match': `W/"${first}"` },
    });
    expect(weak.status).toBe(201);
    const second = weak.body.cursor;
    const list = { headers: { 'if-match': `"${first}" , W/"other-7",W/"${second}"` } };
    const third = await setup.post(event('3', 'tags'), list);
    expect(third.status).toBe(201);
    const again = await setup.post(event('3', 'tags'), list);
    expect(again.body).toEqual({ ...third.body, duplicate: true });
    const late = await setup.post(event('4', 'tags'), list);
    expect(late).toMatchObject({ status: 412, body: { cursor: third.body.cursor } });
    expect(await idsOf('tags')).toEqual(['1', '2', '3']);
  });

  test('If-Match with an older cursor: 412 with the actual one, nothing stored', async () => {
    const first = await setup.post(event('1', 'moved'));
    const second = await setup.post(event('2', 'moved'));
    const refused = await setup.post(event('3', 'moved'), ifMatch(first.body.cursor));
    expect(refused.status).toBe(412);
    expect(refused.body.cursor).toBe(second.body.cursor);
    expect(await idsOf('moved')).toEqual(['1', '2']);
  });

  test('If-Match beside a preference for an order: is a condition all the same', async () => {
    const first = await setup.post(event('1', 'preferred'));
    await setup.post(event('2', 'preferred'));
    const headers = { prefer: 'ordered', 'if-match': `"${first.body.cursor}"` };
    expect((await setup.post(event('3', 'preferred'), { headers })).status).toBe(412);
    expect(await idsOf('preferred')).toEqual(['1', '2']);
  });

  test('If-Match on an empty topic, with another epoch, with sequence 0: 412', async () => {
    const { cursor } = (await setup.post(event('1', 'conditions'))).body;
    const empty = await setup.post(event('2', 'conditions.empty'), ifMatch(cursor));
    expect(empty).toMatchObject({ status: 412, body: { cursor: null } });
    const epoch = await setup.post(event('3', 'conditions'), ifMatch(`x-${sequenceOf(cursor)}`));
    expect(epoch).toMatchObject({ status: 412, body: { cursor } });
    const zero = cursor.replace(/-\d+$/, '-0');
    const start = await setup.post(event('4', 'conditions.empty'), ifMatch(zero));
    expect(start).toMatchObject({ status: 412, body: { cursor: null } });
  });

  test('conditions on a topic that the token does not permit: the same 403, whatever is there', async () => {
    const { cursor } = (await setup.post(event('1', 'hidden.full'))).body;
    const token = await makeToken('publish:open', 'mallory');
    const answers = [];
    for (const options of [ifEmpty, ifMatch(cursor), ifMatch('x-1')]) {
      for (const topic of ['hidden.full', 'hidden.none']) {
        const { status, headers, body } = await setup.post(event('2', topic), {
          ...options,
          token,
        });
        const { message, ...rest } = body;
        expect(message).toContain(topic);
        answers.push({ status, position: headers.get('tidemark-position'), ...rest });
      }
    }
    const same = { status: 403, position: null, code: 'forbidden', retryable: false };
    expect(answers).toEqual(answers.map(() => same));
  });

  test('sent again after a lost answer, others have written since: told as a duplicate', async () => {
    const start = (await setup.post(event('0', 'lost'))).body.cursor;
    const first = await setup.post(event('1', 'lost'), ifMatch(start));
    const again = await setup.post(event('1', 'lost'), ifMatch(start));
    expect(again).toMatchObject({ status: 201, body: { ...first.body, duplicate: true } });
    await setup.post(event('2', 'lost'));
    const late = await setup.post(event('1', 'lost'), ifMatch(start));
    expect(late).toMatchObject({ status: 201, body: { ...first.body, duplicate: true } });
    expect(await idsOf('lost')).toEqual(['0', '1', '2']);
  });

  test('many at once with the same If-Match: one winner, the others are told its cursor', async () => {
    let { cursor } = (await setup.post(event('start', 'contended'))).body;
    for (let round = 0; round < 20; round++) {
      const answers = await Promise.all(
        [0, 1, 2, 3].map((n) => setup.post(event(`${round}-${n}`, 'contended'), ifMatch(cursor))),
      );
      const winners = answers.filter(({ status }) => status === 201);
      expect(winners).toHaveLength(1);
      cursor = winners[0]?.body.cursor;
      const losers = answers.filter(({ status }) => status === 412);
      expect(losers.map(({ body }) => body.cursor)).toEqual([cursor, cursor, cursor]);
    }
    expect(await idsOf('contended')).toHaveLength(21);
  });

  test.each([
    ['both headers', { 'if-match': '"a-1"', 'if-none-match': '*' }, 'invalid_query'],
    ['a weak tag in small letters', { 'if-match': 'w/"a-1"' }, 'invalid_query'],
    ['no quotes', { 'if-match': 'a-1' }, 'invalid_query'],
    ['tags without a comma', { 'if-match': '"a-1" "a-2"' }, 'invalid_query'],
    ['nine tags', { 'if-match': nineTags }, 'invalid_query'],
    ['no cursor in one of the tags', { 'if-match': '"a-1", W/"latest"' }, 'invalid_cursor'],
    ['no cursor in the quotes', { 'if-match': '"latest"' }, 'invalid_cursor'],
    ['If-None-Match with a tag', { 'if-none-match': '"a-1"' }, 'invalid_query'],
  ])('%s: 400', async (_, headers, code) => {
    const answer = await setup.post(event('bad', 'badconditions'), { headers });
    expect(answer).toMatchObject({ status: 400, body: { code } });
    expect(await idsOf('badconditions')).toEqual([]);
  });

  test('on a batch: 400, nothing stored', async () => {
    const headers = { ...BATCH, 'if-none-match': '*' };
    const answer = await setup.post(JSON.stringify([event('1', 'batchcondition')]), { headers });
    expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_query' } });
    expect(await idsOf('batchcondition')).toEqual([]);
  });
});

test(`ingest, ${POSTS} posts at once: all stored, each at its own cursor`, async () => {
  const before = (await setup.stored()).length;
  const cursors = new Map<string, string>();
  let next = 0;
  const send = async () => {
    while (next < POSTS) {
      const id = `post-${next++}`;
      const { status, body } = await setup.post(event(id, `load.${next % 7}`));
      expect(status).toBe(201);
      cursors.set(id, body.cursor);
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, send));
  const messages = (await setup.stored()).slice(before);
  expect(messages).toHaveLength(POSTS);
  for (const { sequence, event } of messages) {
    expect(sequenceOf(cursors.get(String(event.id)) ?? '')).toBe(sequence);
  }
});

test('ingest, batch of the most events: stored in the order of the batch', async () => {
  const items = Array.from({ length: 1000 }, (_, index) => event(`bulk-${index}`, 'bulk'));
  const answer = await setup.post(JSON.stringify(items), { headers: BATCH });
  expect(answer.status).toBe(201);
  expect(await idsOf('bulk')).toEqual(items.map(({ id }) => id));
});

test('ingest, metrics: appends are counted by how they ended', async () => {
  const text = await (await fetch(`${setup.ingest.url}/metrics`)).text();
  for (const result of ['stored', 'duplicate', 'precondition_failed']) {
    expect(text).toMatch(
      new RegExp(`tidemark_ingest_events_total\\{[^}]*result="${result}"[^}]*\\} [1-9]`),
    );
  }
  expect(text).toMatch(/tidemark_ingest_append_seconds_count\{[^}]*\} [1-9]/);
  expect(text).toMatch(/tidemark_ingest_body_bytes_total\{[^}]*\} [1-9]/);
  expect(text).toMatch(/tidemark_ingest_appends_pending\{[^}]*\} 0/);
});

async function idsOf(topic: string): Promise<unknown[]> {
  const messages = await setup.stored();
  return messages
    .filter(({ subject }) => subject === `tidemark.events.${topic}`)
    .map((message) => message.event.id);
}
