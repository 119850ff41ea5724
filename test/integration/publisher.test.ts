import type { HttpPublisherOptions } from '@tidemark/publisher';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { Publishers, publisherError } from '../support/library-publishers.ts';
import { makeToken } from '../support/services.ts';
import { type System, startSystem, streamEvents } from '../support/system.ts';

/* `@tidemark/publisher` over HTTP, as a service uses it; PROTOCOL.md section 10. */

let system: System;
let token: string;
let publishers: Publishers;
beforeAll(async () => {
  system = await startSystem({ env: { TIDEMARK_TOKEN_CLOCK_TOLERANCE_SECONDS: '0' } });
  token = await makeToken('publish:>', 'shop');
  publishers = new Publishers(system, token);
});
afterEach(() => publishers.end());
afterAll(() => system.stop());

const open = (options?: Partial<HttpPublisherOptions>) => publishers.open(options);

/** What the stream has of the topics that begin so, in its order. */
async function stored(prefix: string) {
  return (await streamEvents(system.nats.url)).filter(({ topic }) => topic.startsWith(prefix));
}

/** How many requests ingest has answered, with a status such as `201`. */
async function posts(status = '201'): Promise<number> {
  const text = await (await fetch(`${system.ingest.url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith('tidemark_http_answers_total{'));
  return lines
    .filter((line) => line.includes(`status="${status}"`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

describe('publish', () => {
  test('event: is stored, completed, when the promise resolves', async () => {
    const answer = await open().publish('first.1', { type: 'order.paid', data: { total: 7 } });
    expect(answer).toMatchObject({ source: '/shop', topic: 'first.1', duplicate: false });
    const [event, ...others] = await stored('first.');
    expect(others).toEqual([]);
    expect(event).toMatchObject({
      specversion: '1.0',
      id: answer.id,
      source: '/shop',
      type: 'order.paid',
      topic: 'first.1',
      data: { total: 7 },
      publisher: 'shop',
    });
    expect(Date.parse(event?.time ?? '')).toBeGreaterThan(Date.now() - 60_000);
    expect(answer.cursor).toMatch(/-\d+$/);
  });

  test('event with an id, twice: is stored once, with the same cursor', async () => {
    const publisher = open();
    const event = { type: 'order.paid', id: 'own', time: '2026-01-01T00:00:00Z', data: 1 };
    const first = await publisher.publish('twice', event);
    const second = await publisher.publish('twice', event);
    expect(second).toEqual({ ...first, duplicate: true });
    await expect(publisher.publish('twice', { ...event, data: 2 })).rejects.toEqual(
      publisherError('conflict', { cursor: first.cursor, retryable: false }),
    );
    expect(await stored('twice')).toHaveLength(1);
  });

  test('many at once: each topic keeps the order of the calls, and requests are shared', async () => {
    const publisher = open();
    const before = await posts();
    const calls = Array.from({ length: 600 }, (_, n) =>
      publisher.publish(`many.${n % 30}`, { type: 'counted', id: String(n), data: n }),
    );
    const answers = await Promise.all(calls);
    expect(answers.map(({ id }) => id)).toEqual(calls.map((_, n) => String(n)));
    expect(answers.every(({ duplicate }) => !duplicate)).toBe(true);
    expect((await posts()) - before).toBeLessThan(200);
    const events = await stored('many.');
    expect(events).toHaveLength(600);
    for (let topic = 0; topic < 30; topic++) {
      const numbers = events.filter((one) => one.topic === `many.${topic}`).map(({ data }) => data);
      expect(numbers).toEqual(Array.from({ length: 20 }, (_, n) => topic + 30 * n));
    }
  });

  test('wrong events among many: each gets its own fault, and all others are stored', async () => {
    const publisher = open({ token: await makeToken('publish:mixed.>', 'mixer') });
    const outcomes = await Promise.allSettled(
      Array.from({ length: 200 }, (_, n) => {
        if (n % 50 === 7) return publisher.publish(`mixed.${n}`, { type: 'x', time: 'noon' });
        if (n % 50 === 9) return publisher.publish(`other.${n}`, { type: 'x' });
        return publisher.publish(`mixed.${n}`, { type: 'x', data: n });
      }),
    );
    const wrong = outcomes.flatMap((one, n) =>
      one.status === 'rejected' ? [[n, one.reason]] : [],
    );
    expect(wrong.map(([n]) => n)).toEqual([7, 9, 57, 59, 107, 109, 157, 159]);
    for (const [n, reason] of wrong) {
      if (n % 50 === 9) expect(reason).toEqual(publisherError('forbidden', { retryable: false }));
      else expect(reason.faults).toEqual([{ path: 'time', message: expect.any(String) }]);
      expect(reason.events).toEqual([
        expect.objectContaining({ id: expect.any(String), type: 'x' }),
      ]);
    }
    expect(await stored('mixed.')).toHaveLength(192);
    expect(await stored('other.')).toEqual([]);
  });

  test.each<[string, string, object, string]>([
    ['a topic that is none', 'a b', { type: 'x' }, 'invalid_event'],
    ['no type', 'bad', {}, 'invalid_event'],
    ['a number as id', 'bad', { type: 'x', id: 7 }, 'invalid_event'],
    ['a wrong attribute name', 'bad', { type: 'x', wrongName: 1 }, 'invalid_event'],
    ['a big integer', 'bad', { type: 'x', data: 1n }, 'invalid_event'],
    ['no object', 'bad', [] as object, 'invalid_event'],
    ['null', 'bad', null as unknown as object, 'invalid_event'],
    [
      'an event that has expired',
      'bad',
      { type: 'x', expires: '2001-01-01T00:00:00Z' },
      'invalid_event',
    ],
    ['an event that is too large', 'bad', { type: 'x', data: 'x'.repeat(300_000) }, 'too_large'],
    ['a body that is too large', 'bad', { type: 'x', data: 'x'.repeat(1_200_000) }, 'too_large'],
    ['a trace that is none', 'bad', { type: 'x', traceparent: 'ü\n' }, 'invalid_event'],
    ['a reserved topic', 'tidemark.x', { type: 'x' }, 'forbidden'],
  ])('%s: is refused at once, and the topic goes on', async (_, topic, event, code) => {
    const publisher = open();
    await expect(publisher.publish(topic, event as { type: string })).rejects.toEqual(
      publisherError(code, { retryable: false }),
    );
    expect(await publisher.publish('bad', { type: 'good' })).toMatchObject({ duplicate: false });
  });

  test('source of the event: counts before that of the publisher', async () => {
    expect(await open().publish('own', { type: 'x', source: '/other' })).toMatchObject({
      source: '/other',
    });
  });
});

describe('batch', () => {
  test('more events than a request may have: are stored in order', async () => {
    const events = Array.from({ length: 2500 }, (_, n) => ({
      topic: `batch.${n}`,
      type: 'x',
      data: { n, text: 'x'.repeat(1000) },
    }));
    const answers = await open().publishBatch(events);
    expect(answers.map(({ topic }) => topic)).toEqual(events.map(({ topic }) => topic));
    const numbers = (await stored('batch.')).map(({ data }) => (data as { n: number }).n);
    expect(numbers).toEqual(events.map((_, n) => n));
  });

  test.each([true, false])('one topic, keepOrder %s: is stored in order', async (keepOrder) => {
    const topic = `one.${keepOrder}`;
    const events = Array.from({ length: 300 }, (_, n) => ({ topic, type: 'x', data: n }));
    expect(await open().publishBatch(events, { keepOrder })).toHaveLength(300);
    expect((await stored(topic)).map(({ data }) => data)).toEqual(events.map((_, n) => n));
  });

  test('one wrong event: its request stores nothing, and the error has what can be published again', async () => {
    const publisher = open();
    const events = Array.from({ length: 2000 }, (_, n) => ({
      topic: `faulty.${n}`,
      type: 'x',
      ...(n === 1003 && { time: 'noon' }),
    }));
    const failed = await publisher.publishBatch(events).catch((reason) => reason);
    expect(failed).toEqual(publisherError('invalid_event', { retryable: false }));
    expect(failed.faults).toEqual([{ path: '[1003].time', message: expect.any(String) }]);
    expect(failed.events).toHaveLength(1000);
    expect(await stored('faulty.')).toHaveLength(1000);
    const rest = failed.events.map((one: { time: string }) => ({ ...one, time: undefined }));
    expect(await publisher.publishBatch(rest)).toHaveLength(1000);
    expect(await stored('faulty.')).toHaveLength(2000);
  });

  test('one wrong event alone in its request: its place is in the path', async () => {
    const events = [0, 1, 2].map((n) => ({
      topic: 'alone',
      type: 'x',
      ...(n && { time: 'noon' }),
    }));
    await expect(open().publishBatch(events)).rejects.toMatchObject({
      faults: [{ path: '[1].time' }],
      events: [{ topic: 'alone', time: 'noon' }, { topic: 'alone' }],
    });
    expect(await stored('alone')).toHaveLength(1);
  });

  test('no event: resolves, and sends nothing', async () => {
    expect(await open({ url: 'http://127.0.0.1:1' }).publishBatch([])).toEqual([]);
  });

  test('an item that is no event: is named, and nothing is sent', async () => {
    const events = [{ topic: 'none', type: 'x' }, null as never];
    await expect(open().publishBatch(events)).rejects.toEqual(
      publisherError('invalid_event', { faults: [{ path: '[1]', message: expect.any(String) }] }),
    );
    expect(await stored('none')).toEqual([]);
  });
});

describe('token', () => {
  test('one that expires: is replaced before, without a refusal', async () => {
    let asked = 0;
    const publisher = open({
      token: () => {
        asked++;
        return makeToken('publish:>', 'renewing', 2);
      },
    });
    const refused = await posts('401');
    const end = performance.now() + 4000;
    for (let n = 0; performance.now() < end; n++) {
      await publisher.publish('renewed', { type: 'x', data: n });
    }
    expect(asked).toBeGreaterThanOrEqual(3);
    expect(asked).toBeLessThan(10);
    expect(await posts('401')).toBe(refused);
  });

  test('one that is refused: the function is asked again, once for all', async () => {
    const tokens = ['wrong', token];
    let asked = 0;
    const publisher = open({ token: () => tokens[asked++] ?? token });
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => publisher.publish(`again.${n}`, { type: 'x' })),
    );
    expect(asked).toBe(2);
  });

  test('one that stays wrong: rejects with what ingest says', async () => {
    await expect(open({ token: 'wrong' }).publish('wrong', { type: 'x' })).rejects.toEqual(
      publisherError('unauthenticated', { retryable: false }),
    );
    await expect(open({ token: () => 'wrong' }).publish('wrong', { type: 'x' })).rejects.toEqual(
      publisherError('unauthenticated', { retryable: false }),
    );
  });

  test('one that no header can hold: rejects at once', async () => {
    await expect(open({ token: 'a\nb' }).publish('wrong', { type: 'x' })).rejects.toEqual(
      publisherError('internal', { retryable: false }),
    );
  });

  test('a function that fails at first: is asked again, and the event is stored', async () => {
    let asked = 0;
    const publisher = open({
      token: async () => {
        if (asked++ < 2) throw new Error('The identity provider is away.');
        return token;
      },
    });
    expect(await publisher.publish('asked', { type: 'x' })).toMatchObject({ duplicate: false });
  });
});

describe('options', () => {
  test('deadline that is longer than repeats are recognised: is refused', () => {
    expect(() => open({ deadlineMs: 300_001 })).toThrow(RangeError);
    expect(() => open({ deadlineMs: 0 })).toThrow(RangeError);
    expect(() => open({ url: 'nowhere' })).toThrow(TypeError);
  });

  test('base URL with a path and a slash: is kept', async () => {
    await expect(
      open({ url: `${system.ingest.url}/elsewhere/`, deadlineMs: 300 }).publish('x', { type: 'x' }),
    ).rejects.toEqual(publisherError('not_found'));
    expect(await open({ url: `${system.ingest.url}/` }).publish('x', { type: 'x' })).toBeTruthy();
  });
});
