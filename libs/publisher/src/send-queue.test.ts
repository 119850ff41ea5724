import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { TidemarkPublisherError } from './errors.ts';
import type { OutgoingEvent } from './outgoing-event.ts';
import { QueuedEvent } from './queued-event.ts';
import { SendQueue } from './send-queue.ts';
import type { Attempt, Transport } from './transport.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** How an attempt ends. `lost`: it is stored, and no answer comes. `some`: the first of it is not stored. */
type Outcome = 'ok' | 'away' | 'lost' | 'some' | 'slow';

const AWAY = { code: 'unavailable', message: 'away', retryable: true };

/** A stream that stores each id once, and fails as it is told, in the end no more. */
class FakeStream implements Transport<string> {
  readonly eventsMax = 2;
  readonly bytesMax = 1000;
  readonly attemptsMax = 3;
  readonly stored: OutgoingEvent[] = [];
  readonly outcomes: Outcome[];
  /** Attempts that no queue may make. */
  readonly wrong: object[] = [];
  attempts = 0;
  attemptsMost = 0;

  readonly #namesFaults: boolean;

  constructor(outcomes: readonly Outcome[], namesFaults = true) {
    this.outcomes = outcomes.toReversed();
    this.#namesFaults = namesFaults;
  }

  /** The queue would answer an error of this stream by sending each event alone. */
  #inspect(events: readonly OutgoingEvent[], ifMatch: Attempt['ifMatch']): void {
    const topics = new Set(events.map(({ topic }) => topic));
    const conditional = events.filter(({ id }) => isConditional(id));
    const isRight =
      events.length > 0 &&
      events.length <= this.eventsMax &&
      topics.size === events.length &&
      // A condition is that of its own event, which is alone.
      (conditional.length === 0 ? ifMatch === undefined : events.length === 1) &&
      conditional.every(({ id }) => id === ifMatch);
    if (!isRight) this.wrong.push({ events, ifMatch });
  }

  async send({ events, ifMatch }: Attempt): Promise<readonly string[]> {
    this.#inspect(events, ifMatch);
    this.attemptsMost = Math.max(this.attemptsMost, ++this.attempts);
    const outcome = this.outcomes.pop() ?? 'ok';
    await new Promise((resolve) => setTimeout(resolve, outcome === 'slow' ? 300 : 5));
    this.attempts--;
    const wrong = events.flatMap(({ id }, index) => (id.startsWith('wrong') ? [index] : []));
    if (wrong.length > 0) {
      const faults = wrong.map((at) => ({
        path: events.length > 1 ? `[${at}].id` : 'id',
        message: '',
      }));
      const message = `${faults.length} are wrong`;
      throw new TidemarkPublisherError({
        code: 'invalid_event',
        message,
        retryable: false,
        faults: this.#namesFaults || events.length === 1 ? faults : [],
      });
    }
    if (outcome !== 'away') {
      for (const [index, event] of events.entries()) {
        const isKnown = this.stored.some(({ id }) => id === event.id);
        if (!isKnown && !(outcome === 'some' && index === 0)) this.stored.push(event);
      }
    }
    if (outcome !== 'ok' && outcome !== 'slow') throw new TidemarkPublisherError(AWAY);
    return events.map(({ id }) => id);
  }
}

function isConditional(id: string): boolean {
  return Number(id) % 7 === 3;
}

function add(queue: SendQueue<string>, one: QueuedEvent<string>): void {
  const { id } = one.event;
  if (isConditional(id)) queue.add({ events: [one], shared: false, ifMatch: id });
  else queue.add({ events: [one], shared: true });
}

function queued(topic: string, id: string, signal?: AbortSignal): QueuedEvent<string> {
  const event = { topic, id, source: '/', json: `"${id}"`, bytes: id.length + 2, trace: {} };
  return new QueuedEvent(event, { deadlineMs: 300_000, signal });
}

const outcomes = fc.array(fc.constantFrom<Outcome>('ok', 'away', 'lost', 'some', 'slow'), {
  maxLength: 40,
  size: 'max',
});
const topics = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), {
  maxLength: 60,
  size: 'max',
});

test('queue, failures of every kind: each event is stored once, in the order of its topic', async () => {
  await fc.assert(
    fc.asyncProperty(outcomes, topics, fc.boolean(), async (plan, names, namesFaults) => {
      const stream = new FakeStream(plan, namesFaults);
      const queue = new SendQueue(stream);
      const events = names.map((topic, n) => queued(topic, n % 9 === 5 ? `wrong-${n}` : `${n}`));
      const ends = Promise.allSettled(events.map(({ stored }) => stored));
      for (const [n, one] of events.entries()) {
        // Some come while others are on their way.
        if (n % 4 === 3) await vi.advanceTimersByTimeAsync(n % 8);
        add(queue, one);
      }
      await vi.advanceTimersByTimeAsync(299_000);
      const right = events.filter(({ event }) => !event.id.startsWith('wrong'));
      for (const topic of new Set(names)) {
        const of = (all: readonly OutgoingEvent[]) => all.filter((one) => one.topic === topic);
        expect(of(stream.stored)).toEqual(of(right.map(({ event }) => event)));
      }
      for (const [n, end] of (await ends).entries()) {
        const { id } = events[n]?.event ?? { id: '' };
        if (!id.startsWith('wrong')) expect(end).toEqual({ status: 'fulfilled', value: id });
        else
          expect(end).toMatchObject({
            reason: { message: '1 are wrong', faults: [{ path: 'id' }] },
          });
      }
      expect(stream.attemptsMost).toBeLessThanOrEqual(3);
      expect(stream.wrong).toEqual([]);
      await queue.idle();
    }),
    { numRuns: 60 },
  );
});

test('parcel with several topics: waits for each of them, and holds each up', async () => {
  const stream = new FakeStream([]);
  const queue = new SendQueue(stream);
  const together = ['a', 'b'].map((topic) => queued(topic, `2${topic}`));
  queue.add({ events: [queued('a', '1a')], shared: true });
  queue.add({ events: together, shared: false });
  queue.add({ events: [queued('b', '3b')], shared: true });
  queue.add({ events: [queued('c', '1c')], shared: true });
  const idle = queue.idle();
  await vi.advanceTimersByTimeAsync(1000);
  await idle;
  const place = (id: string) => stream.stored.findIndex((one) => one.id === id);
  expect(stream.stored).toHaveLength(5);
  expect(place('1a')).toBeLessThan(place('2a'));
  expect(place('2b')).toBeLessThan(place('3b'));
  expect(place('1c')).toBeLessThan(place('2a'));
});

test('one wrong event among many, not named: is found by halves', async () => {
  const attempts: number[] = [];
  const queue = new SendQueue<string>({
    eventsMax: 1000,
    bytesMax: 1e6,
    attemptsMax: 1,
    async send({ events }) {
      attempts.push(events.length);
      if (!events.some(({ id }) => id === '400')) return events.map(({ id }) => id);
      const body = { code: 'forbidden', message: 'no', retryable: false };
      throw new TidemarkPublisherError(body);
    },
  });
  const events = Array.from({ length: 1000 }, (_, n) => queued(`t${n}`, `${n}`));
  for (const one of events) queue.add({ events: [one], shared: true });
  const ends = await Promise.allSettled(events.map(({ stored }) => stored));
  expect(ends.filter(({ status }) => status === 'rejected')).toEqual([ends[400]]);
  expect(attempts.length).toBeLessThan(30);
});

test('refused token: is the end of all that share the request, without a further one', async () => {
  const body = { code: 'unauthenticated', message: 'no', retryable: false };
  const send = vi.fn((): Promise<string[]> => Promise.reject(new TidemarkPublisherError(body)));
  const queue = new SendQueue({ eventsMax: 10, bytesMax: 1000, attemptsMax: 1, send });
  const events = ['a', 'b', 'c', 'd'].map((topic) => queued(topic, topic));
  for (const one of events) queue.add({ events: [one], shared: true });
  const ends = await Promise.allSettled(events.map(({ stored }) => stored));
  expect(ends.map(({ status }) => status)).toEqual(Array(4).fill('rejected'));
  // The first goes alone; the others gather meanwhile.
  expect(send).toHaveBeenCalledTimes(2);
});

test('aborted while it waits: is not sent, and its place is free', async () => {
  const stream = new FakeStream(['slow', 'ok', 'ok']);
  const queue = new SendQueue(stream, { eventsMax: 2 });
  const controller = new AbortController();
  const aborted = queued('a', '2', controller.signal);
  queue.add({ events: [queued('a', '1')], shared: true });
  queue.add({ events: [aborted], shared: true });
  expect(() => queue.requireRoom(1, 1)).toThrow(expect.objectContaining({ code: 'queue_full' }));
  controller.abort(new Error('enough'));
  await expect(aborted.stored).rejects.toThrow('enough');
  await vi.advanceTimersByTimeAsync(1000);
  expect(stream.stored.map(({ id }) => id)).toEqual(['1']);
  queue.requireRoom(2, 1);
});

test('room: is there as soon as the caller hears that the event is stored', async () => {
  const queue = new SendQueue(new FakeStream([]), { eventsMax: 1, bytesMax: 3 });
  const first = queued('a', '1');
  queue.add({ events: [first], shared: true });
  const after = first.stored.then(() => queue.requireRoom(1, 1));
  await vi.advanceTimersByTimeAsync(10);
  await expect(after).resolves.toBeUndefined();
  expect(vi.getTimerCount()).toBe(0);
});

test('deadline: ends the call, tells the last failure, and leaves nothing behind', async () => {
  const stream = new FakeStream(Array<Outcome>(100).fill('away'));
  const queue = new SendQueue(stream);
  const event = { topic: 'a', id: '1', source: '/', json: '1', bytes: 1, trace: {} };
  const one = new QueuedEvent<string>(event, { deadlineMs: 2000 });
  queue.add({ events: [one], shared: true });
  const failing = expect(one.stored).rejects.toMatchObject({
    code: 'deadline_exceeded',
    cause: { code: 'unavailable' },
  });
  await vi.advanceTimersByTimeAsync(2000);
  await failing;
  const idle = queue.idle();
  await vi.advanceTimersByTimeAsync(10);
  await idle;
  expect(vi.getTimerCount()).toBe(0);
});

test('fault of the library: is told to the caller, and the queue goes on', async () => {
  const send = vi.fn(() => Promise.resolve<string[]>(['x']));
  send.mockImplementationOnce(() => {
    throw new TypeError('broken');
  });
  const queue = new SendQueue({ eventsMax: 10, bytesMax: 1000, attemptsMax: 1, send });
  const [first, second] = [queued('a', '1'), queued('a', '2')];
  for (const one of [first, second]) queue.add({ events: [one], shared: true });
  await expect(first.stored).rejects.toMatchObject({ code: 'internal', message: 'broken' });
  await expect(second.stored).resolves.toBe('x');
});
