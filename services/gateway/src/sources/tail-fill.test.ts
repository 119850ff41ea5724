import { ERASURES_TOPIC, type LogBounds, toErasureEvent } from '@tidemark/protocol';
import { expect, test } from 'vitest';
import { EventEntry } from '../log/event-entry.ts';
import { EventLog } from '../log/event-log.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { ColdQuery, StreamTier } from './cold-reads.ts';
import { TailFill } from './tail-fill.ts';

const LAST = 20_000;
const EPOCH = 'e';

const clock: Clock = {
  nowMs: () => performance.now(),
  soon: (task) => void setImmediate(task),
  after: (_ms, task) => {
    setImmediate(task);
    return () => {};
  },
};

function stored(sequence: number): EventEntry {
  const json = Buffer.from(`{"id":"${sequence}"}`);
  return new EventEntry(EPOCH, { sequence, topic: 'a', timeMs: sequence, json });
}

interface Parts {
  readonly firstSequence?: () => number;
  readonly eventsMax?: number;
  readonly epochAfter?: string;
  readonly onRead?: (query: ColdQuery, log: EventLog) => void;
  readonly entryAt?: (sequence: number) => EventEntry;
}

/** Fills a tail from a stream of `LAST` events, whose reads end early as those of the real one may. */
async function fill({ firstSequence = () => 1, onRead, ...parts }: Parts): Promise<EventLog> {
  const { eventsMax = 1e6, epochAfter = EPOCH, entryAt = stored } = parts;
  let reads = 0;
  const bounds = (): LogBounds => {
    const epoch = reads > 0 ? epochAfter : EPOCH;
    return { epoch, firstSequence: firstSequence(), lastSequence: LAST };
  };
  const log = new EventLog({
    tail: { bytesMax: 1e9, eventsMax },
    onAppended: () => {},
    onRestarted: () => {},
  });
  const stream = {
    bounds: async () => bounds(),
    readSlice: async (query: ColdQuery) => {
      reads++;
      const from = Math.max(query.after + 1, firstSequence());
      onRead?.(query, log);
      const through = Math.min(query.through, from + 2999);
      const count = Math.max(through - from + 1, 0);
      return { entries: Array.from({ length: count }, (_, at) => entryAt(from + at)), through };
    },
  } as unknown as StreamTier;
  log.begin({ epoch: EPOCH, firstSequence: 1, lastSequence: LAST });
  const tailFill = new TailFill({ log, stream, clock });
  expect(tailFill.settled).toBe(false);
  tailFill.begin();
  await expect.poll(() => tailFill.settled, { interval: 1 }).toBe(true);
  return log;
}

function sequences({ tail }: EventLog): number[] {
  const { entries } = tail.readEntries(new PatternSet(['a']), tail.floor, { eventsMax: 1e6 });
  return entries.map(({ sequence }) => sequence);
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

test('tail fill: a stream with room for all: every event, and the head stays', async () => {
  const log = await fill({});
  expect(log.tail).toMatchObject({ floor: 0, head: LAST, followedAfter: LAST });
  expect(sequences(log)).toEqual(range(1, LAST));
});

test('tail fill: more than there is room for: the newest events', async () => {
  const log = await fill({ eventsMax: 9000 });
  expect(sequences(log)).toEqual(range(LAST - 8999, LAST));
  expect(log.tail.floor).toBe(LAST - 9000);
});

test('tail fill: retention overtakes a read: nothing is claimed that may be missing', async () => {
  let first = 1;
  const log = await fill({
    firstSequence: () => first,
    onRead: ({ after }) => {
      if (after < 12_000) first = 11_000;
    },
  });
  expect(log.tail.floor).toBe(10_999);
  expect(sequences(log)).toEqual(range(11_000, LAST));
});

test('tail fill: another epoch meanwhile: nothing of it is taken', async () => {
  const log = await fill({ epochAfter: 'f' });
  expect(log.tail).toMatchObject({ floor: LAST, length: 0 });
});

test('tail fill: events are erased, whose messages the stream still has: they do not come back', async () => {
  const erasure = { sequences: [2, 14_990] };
  const record = toErasureEvent({ id: 'r', erasure, reason: 'asked', by: 'operator', nowMs: 0 });
  const log = await fill({
    entryAt: (sequence) => {
      if (sequence !== 15_000) return stored(sequence);
      const event = {
        sequence,
        topic: ERASURES_TOPIC,
        timeMs: 0,
        json: Buffer.from(JSON.stringify(record)),
      };
      return new EventEntry(EPOCH, event);
    },
  });
  const gone = [2, 14_990, 15_000];
  expect(sequences(log)).toEqual(range(1, LAST).filter((one) => !gone.includes(one)));
});

test('tail fill: an erasure that the feed tells of during the fill counts for older blocks too', async () => {
  let told = false;
  const log = await fill({
    onRead: (_query, present) => {
      if (told) return;
      told = true;
      present.eraseEvents({ sequences: [5, 19_000] }, LAST + 1);
    },
  });
  expect(sequences(log)).toEqual(range(1, LAST).filter((one) => ![5, 19_000].includes(one)));
});

test('tail fill: the feed fills the tail meanwhile: the fill ends', async () => {
  const log = await fill({
    eventsMax: 10_000,
    onRead: ({ through }, present) => {
      if (through >= LAST || present.tail.head > LAST) return;
      for (let more = 1; more <= 5000; more++) present.appendEvent(stored(LAST + more));
    },
  });
  expect(sequences(log)).toEqual(range(LAST - 4999, LAST + 5000));
});
