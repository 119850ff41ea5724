import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Answer, postTo } from '../conformance/ingest-setup.ts';
import { makeToken } from '../support/services.ts';
import { type System, sequenceOf, startSystem, streamEvents } from '../support/system.ts';
import { until } from '../support/until.ts';

/* The events of a batch go to the stream in one piece. NATS that ends in the middle of it leaves a part. */

const BATCH_EVENTS = 1000;
const PUBLISHERS = 4;
const KILLS = 3;

let system: System;
let token: string;
beforeAll(async () => {
  system = await startSystem();
  token = await makeToken('publish:>', 'alice');
});
afterAll(async () => {
  await system?.stop();
});

function batchOf(publisher: number, number: number) {
  return Array.from({ length: BATCH_EVENTS }, (_, n) => ({
    specversion: '1.0',
    id: `${number}-${n}`,
    source: `/batches/${publisher}`,
    type: 'batches',
    topic: `batches.${publisher}.${n % 3}`,
    data: 'x'.repeat(100),
  }));
}

async function post(events: readonly object[], ordered = false): Promise<Answer | undefined> {
  const headers = {
    'content-type': 'application/cloudevents-batch+json',
    ...(ordered && { prefer: 'ordered' }),
  };
  return postTo(system.ingest.url, JSON.stringify(events), { token, headers }).catch(
    () => undefined,
  );
}

/** Posts a batch until it is stored, as a publisher does. @returns how often */
async function postUntilStored(
  events: readonly object[],
): Promise<{ answer: Answer; posts: number }> {
  for (let posts = 1; ; posts++) {
    const answer = await post(events);
    if (answer?.status === 201) return { answer, posts };
    expect(answer?.status ?? 503).toBe(503);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

test('NATS is killed while batches are written: each is repeated, and every event is stored once, in the order of a topic', async () => {
  let on = true;
  const cursors = new Map<string, string>();
  let repeated = 0;
  const publishing = Array.from({ length: PUBLISHERS }, async (_, publisher) => {
    for (let number = 0; on; number++) {
      const { answer, posts } = await postUntilStored(batchOf(publisher, number));
      expect(answer.body).toHaveLength(BATCH_EVENTS);
      for (const { id, source, cursor } of answer.body) cursors.set(`${source} ${id}`, cursor);
      if (posts > 1) repeated++;
    }
  });
  for (let kill = 0; kill < KILLS; kill++) {
    const before = cursors.size;
    await until(() => cursors.size >= before + PUBLISHERS * BATCH_EVENTS, 'some batches');
    await system.nats.kill();
    await system.nats.restart();
  }
  const last = cursors.size;
  await until(() => cursors.size > last, 'batches after the last kill');
  on = false;
  await Promise.all(publishing);

  expect(repeated).toBeGreaterThan(0);
  const stored = await streamEvents(system.nats.url);
  const places = new Map<string, number>();
  stored.forEach(({ source, id }, index) => {
    expect(places.has(`${source} ${id}`)).toBe(false);
    places.set(`${source} ${id}`, index + 1);
  });
  // Nothing is erased here, so the place of an event is its sequence.
  for (const [name, cursor] of cursors) expect(places.get(name)).toBe(sequenceOf(cursor));
});

test('a part of a batch is a repeat, and one event of it has other content: 409 that names it, the rest is stored once', async () => {
  const [first, second] = [batchOf(10, 0), batchOf(10, 1)];
  expect((await post(first))?.status).toBe(201);
  const mixed = second.map((event, n) => (n % 2 === 0 ? (first[n] as typeof event) : event));
  const changed = mixed.map((event, n) => (n === 500 ? { ...event, data: 'other' } : event));
  const refused = await post(changed);
  expect(refused).toMatchObject({ status: 409, body: { code: 'conflict' } });
  expect(refused?.body.faults).toMatchObject([{ path: '[500]' }]);
  const answer = await post(mixed);
  expect(answer?.status).toBe(201);
  expect(answer?.body.every(({ duplicate }: { duplicate: boolean }) => duplicate)).toBe(true);
  const stored = await streamEvents(system.nats.url);
  const own = stored.filter(({ source }) => source === '/batches/10').map(({ id }) => id);
  expect(new Set(own).size).toBe(own.length);
  expect(own).toHaveLength(BATCH_EVENTS * 1.5);
});

test('a batch whose order is asked for, beside others: stored in its order', async () => {
  const ordered = batchOf(20, 0).slice(0, 200);
  const beside = [post(batchOf(21, 0)), post(batchOf(22, 0))];
  const answer = await post(ordered, true);
  await Promise.all(beside);
  expect(answer?.status).toBe(201);
  const places = answer?.body.map(({ cursor }: { cursor: string }) => sequenceOf(cursor));
  for (const topic of [0, 1, 2]) {
    const own = places.filter((_: number, n: number) => n % 3 === topic);
    expect(own).toEqual(own.toSorted((left: number, right: number) => left - right));
  }
});
