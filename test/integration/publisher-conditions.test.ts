import type { HttpPublisherOptions, Publisher, ReadHint, Reading } from '@tidemark/publisher';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { Publishers, publisherError } from '../support/library-publishers.ts';
import { startRelay } from '../support/relay.ts';
import { makeToken } from '../support/services.ts';
import { type System, startSystem, streamEvents } from '../support/system.ts';

/* Conditional appends of `@tidemark/publisher`; PROTOCOL.md section 10. */

let system: System;
let token: string;
let publishers: Publishers;
beforeAll(async () => {
  system = await startSystem();
  token = await makeToken('publish:> history:>', 'shop');
  publishers = new Publishers(system, token);
});
afterEach(() => publishers.end());
afterAll(() => system.stop());

const open = (options?: Partial<HttpPublisherOptions>) => publishers.open(options);

async function dataOf(topic: string): Promise<unknown[]> {
  const events = await streamEvents(system.nats.url);
  return events.filter((one) => one.topic === topic).map(({ data }) => data);
}

/** The state of a counter is its last event, which replay has. */
async function readCounter(topic: string, { atLeast }: ReadHint): Promise<Reading<number>> {
  const query = new URLSearchParams({ topics: topic, order: 'desc', limit: '1' });
  if (atLeast) query.set('atLeast', atLeast);
  const response = await fetch(`${system.replay.url}/v1/events?${query}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  const { items } = (await response.json()) as {
    items: { cursor: string; event: { data: number } }[];
  };
  const [last] = items;
  return { state: last?.event.data ?? 0, cursor: last?.cursor ?? null };
}

const increment = (topic: string, publisher: Publisher) =>
  publisher.retryOnConflict(
    topic,
    (hint) => readCounter(topic, hint),
    (count) => ({ type: 'counted', data: count + 1 }),
    { triesMax: 200 },
  );

test('append: is stored only behind the event that it names', async () => {
  const publisher = open();
  const first = await publisher.append('chain', { type: 'x', data: 1 }, { ifMatch: null });
  const second = await publisher.append('chain', { type: 'x', data: 2 }, { ifMatch: first.cursor });
  for (const ifMatch of [null, first.cursor, [first.cursor]]) {
    await expect(publisher.append('chain', { type: 'x', data: 3 }, { ifMatch })).rejects.toEqual(
      publisherError('precondition_failed', { cursor: second.cursor, retryable: false }),
    );
  }
  const ifMatch = [first.cursor, second.cursor];
  await publisher.append('chain', { type: 'x', data: 4 }, { ifMatch });
  expect(await dataOf('chain')).toEqual([1, 2, 4]);
});

test('append, of a topic without an event: the error has no cursor', async () => {
  const { cursor } = await open().publish('somewhere', { type: 'x' });
  await expect(open().append('empty', { type: 'x' }, { ifMatch: cursor })).rejects.toEqual(
    publisherError('precondition_failed', { cursor: null }),
  );
});

test('append, of a cursor that is none: is refused', async () => {
  const publisher = open();
  for (const ifMatch of ['x', '', 'x"\r\ny', 'ü', [], ['x', 'y'], undefined as never]) {
    await expect(publisher.append('bad', { type: 'x' }, { ifMatch })).rejects.toEqual(
      publisherError('invalid_cursor', { retryable: false }),
    );
  }
  expect(await dataOf('bad')).toEqual([]);
});

test('append whose answer is lost: finds itself, and is no conflict', async () => {
  const relay = publishers.keep(await startRelay(system.ingest.port));
  const publisher = open({ url: relay.url });
  for (const [count, topic] of [
    [1, 'lost.1'],
    [3, 'lost.3'],
  ] as const) {
    relay.loseAnswers(count);
    const first = await publisher.append(topic, { type: 'x', data: 1 }, { ifMatch: null });
    expect(first.duplicate).toBe(true);
    relay.loseAnswers(count);
    const { cursor } = first;
    const second = await publisher.append(topic, { type: 'x', data: 2 }, { ifMatch: cursor });
    expect(second.duplicate).toBe(true);
    expect(await dataOf(topic)).toEqual([1, 2]);
  }
});

test('append whose answer is lost, with another event behind it: finds itself all the same', async () => {
  const relay = publishers.keep(await startRelay(system.ingest.port));
  const other = open();
  const { cursor } = await other.publish('behind', { type: 'x', data: 0 });
  relay.loseAnswers(1);
  const appending = open({ url: relay.url }).append(
    'behind',
    { type: 'x', data: 1 },
    { ifMatch: cursor },
  );
  // The first attempt may be stored before or after; in either case there is one right outcome.
  await other.publish('behind', { type: 'x', data: 2 });
  const outcome = await appending.then(
    ({ duplicate }) => duplicate,
    ({ code }) => code,
  );
  const found = await dataOf('behind');
  if (outcome === 'precondition_failed') expect(found).toEqual([0, 2]);
  else expect(found).toEqual([0, 1, 2]);
});

test('append between other events of the topic: keeps the order of the calls', async () => {
  const publisher = open();
  const first = publisher.publish('between', { type: 'x', data: 1 });
  const { cursor } = await first;
  const calls = [
    publisher.append('between', { type: 'x', data: 2 }, { ifMatch: cursor }),
    publisher.publish('between', { type: 'x', data: 3 }),
  ];
  await Promise.all(calls);
  expect(await dataOf('between')).toEqual([1, 2, 3]);
});

test('retryOnConflict: a counter with ten concurrent writers loses nothing', async () => {
  const writers = Array.from({ length: 10 }, () => open());
  const each = 10;
  await Promise.all(
    writers.map(async (publisher) => {
      for (let n = 0; n < each; n++) await increment('counter', publisher);
    }),
  );
  expect(await dataOf('counter')).toEqual(Array.from({ length: 100 }, (_, n) => n + 1));
});

test('retryOnConflict, answers that are lost: the counter counts each call once', async () => {
  const relay = publishers.keep(await startRelay(system.ingest.port));
  const writers = Array.from({ length: 3 }, () => open({ url: relay.url }));
  await Promise.all(
    writers.map(async (publisher) => {
      for (let n = 0; n < 10; n++) {
        if (n % 2 === 0) relay.loseAnswers(1);
        await increment('lossy', publisher);
      }
    }),
  );
  expect(await dataOf('lossy')).toEqual(Array.from({ length: 30 }, (_, n) => n + 1));
});

test('retryOnConflict, nothing to do: resolves without an event', async () => {
  const read = () => ({ state: 1, cursor: null });
  expect(await open().retryOnConflict('nothing', read, () => undefined)).toBeUndefined();
  expect(await dataOf('nothing')).toEqual([]);
});

test('retryOnConflict, a state that stays old: gives up after its tries, with the cursor', async () => {
  const publisher = open();
  const { cursor } = await publisher.publish('stale', { type: 'x' });
  const hints: ReadHint[] = [];
  const read = (hint: ReadHint) => {
    hints.push(hint);
    return { state: 0, cursor: null };
  };
  await expect(
    publisher.retryOnConflict('stale', read, () => ({ type: 'x' }), { triesMax: 3 }),
  ).rejects.toEqual(publisherError('precondition_failed', { cursor }));
  expect(hints).toEqual([{}, { atLeast: cursor }, { atLeast: cursor }]);
});

test('retryOnConflict, read that fails: rejects with its error', async () => {
  const failing = open().retryOnConflict(
    'failing',
    () => Promise.reject(new Error('no state')),
    () => ({ type: 'x' }),
  );
  await expect(failing).rejects.toThrow('no state');
});
