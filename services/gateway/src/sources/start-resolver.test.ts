import type { LogBounds, Position } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import { EventEntry } from '../log/event-entry.ts';
import { Tail } from '../log/tail.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { StreamTier, TimeSearch } from './cold-reads.ts';
import { type LogView, StartResolver } from './start-resolver.ts';

const HEAD = 5;
const LAST = 9;

const applicant = () => ({
  flow: { user: 'u', connection: {} },
  signal: new AbortController().signal,
});

const away = () => Promise.reject(new Error('away'));

/** A stream whose answers the test gives. */
class AskedStream implements StreamTier {
  connected = true;
  readonly asked: { answer: (lastSequence: number, epoch?: string) => void; fail: () => void }[] =
    [];
  readonly boundsReaching = away;
  readonly readSlice = away;
  readonly readSlices = away;
  /** What the search for a time finds. */
  found = 0;

  async sequenceBefore(): Promise<TimeSearch> {
    return { sequence: this.found, found: true };
  }

  bounds(): Promise<LogBounds> {
    return new Promise((resolve, reject) => {
      this.asked.push({
        answer: (lastSequence, epoch = 'e') => resolve({ epoch, firstSequence: 1, lastSequence }),
        fail: () => reject(new Error('no answer')),
      });
    });
  }
}

function create() {
  const stream = new AskedStream();
  const timers: (() => void)[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    soon: queueMicrotask,
    after: (_, task) => {
      timers.push(task);
      return () => void timers.splice(timers.indexOf(task), 1);
    },
  };
  const archive = { bounds: away, readPage: away, sequenceBefore: away };
  const resolver = new StartResolver({ stream, archive, clock });
  const tail = new Tail(HEAD, { bytesMax: 1e6, eventsMax: 10 });
  const log: LogView = { epoch: 'e', lineage: { epoch: 'e' }, tail };
  return {
    stream,
    tail,
    timers,
    latest: async () => resolver.resolve({ kind: 'latest' }, log, applicant),
    at: async (timeMs: number) => resolver.resolve({ kind: 'time', timeMs }, log, applicant),
  };
}

/** A gateway whose stream and archive are at hand. A time is before all that the stream still has. */
function createBetween(
  stream: LogBounds,
  archived: LogBounds,
  { expired = 0, archivedBefore = 0 } = {},
) {
  const tier: StreamTier = {
    connected: true,
    bounds: async () => stream,
    boundsReaching: away,
    readSlice: away,
    readSlices: away,
    sequenceBefore: async () => ({ sequence: expired, found: false }),
  };
  const archive = {
    bounds: async () => archived,
    readPage: away,
    sequenceBefore: async () => archivedBefore,
  };
  const clock = { nowMs: () => 0, soon: queueMicrotask, after: () => () => {} };
  const tail = new Tail(HEAD, { bytesMax: 1e6, eventsMax: 10 });
  const { epoch } = stream;
  const log: LogView = { epoch, lineage: stream, tail };
  const resolver = new StartResolver({ stream: tier, archive, clock });
  return {
    earliest: async () => resolver.resolve({ kind: 'earliest' }, log, applicant),
    after: async (position: Position) =>
      resolver.resolve({ kind: 'cursor', position }, log, applicant),
    at: async (timeMs: number) => resolver.resolve({ kind: 'time', timeMs }, log, applicant),
  };
}

test('earliest while the archive has yet to follow the log into a new epoch: its first event', async () => {
  const lineage = { epoch: 'e.x', earlier: [{ epoch: 'e', through: LAST }] };
  const stream = { ...lineage, firstSequence: 8, lastSequence: LAST };
  const { earliest } = createBetween(stream, { epoch: 'e', firstSequence: 3, lastSequence: LAST });
  expect(await earliest()).toEqual({ sequence: 2 });
});

test('a time before all that the stream still has, and a server that says it begins earlier: the archive tells', async () => {
  const archived = { epoch: 'e', firstSequence: 1, lastSequence: LAST };
  const stale = { epoch: 'e', firstSequence: 1, lastSequence: 4 };
  const { at } = createBetween(stale, archived, { expired: 6, archivedBefore: 3 });
  expect(await at(1)).toEqual({ sequence: 3 });
});

test('cursor of an epoch that the log lost with its end, and an archive still has: no gap yet', async () => {
  const stream = { epoch: 'e', firstSequence: 1, lastSequence: LAST };
  const { after } = createBetween(stream, { ...stream, epoch: 'e.x' });
  await expect(after({ epoch: 'e.x', sequence: 7 })).rejects.toMatchObject({ code: 'unavailable' });
});

test('cursor of an epoch that nobody knows any more: a gap', async () => {
  const stream = { epoch: 'e', firstSequence: 1, lastSequence: LAST };
  const { after } = createBetween(stream, stream);
  const from = { epoch: 'e.x', sequence: 7 };
  expect(await after(from)).toEqual({ sequence: 0, gap: { from, reason: 'epoch' } });
});

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe('latest', () => {
  test('the feed is behind: begins after what the stream had stored when it was asked for', async () => {
    const { stream, timers, latest } = create();
    const start = latest();
    await turn();
    stream.asked[0]?.answer(LAST);
    expect(await start).toEqual({ sequence: LAST });
    expect(timers).toEqual([]);
  });

  test('many at the same moment: one request', async () => {
    const { stream, latest } = create();
    const starts = Array.from({ length: 100 }, latest);
    await turn();
    expect(stream.asked).toHaveLength(1);
    stream.asked[0]?.answer(LAST);
    expect(new Set((await Promise.all(starts)).map(({ sequence }) => sequence))).toEqual(
      new Set([LAST]),
    );
  });

  test('while a request is under way: the next one answers, since the first may be older', async () => {
    const { stream, latest } = create();
    const first = latest();
    await turn();
    const later = [latest(), latest()];
    await turn();
    expect(stream.asked).toHaveLength(1);
    stream.asked[0]?.answer(LAST);
    await turn();
    expect(stream.asked).toHaveLength(2);
    stream.asked[1]?.answer(LAST + 1);
    expect(await first).toEqual({ sequence: LAST });
    expect(await Promise.all(later)).toEqual([{ sequence: LAST + 1 }, { sequence: LAST + 1 }]);
  });

  test('NATS is away: begins at the head, at once', async () => {
    const { stream, latest } = create();
    stream.connected = false;
    expect(await latest()).toEqual({ sequence: HEAD });
    expect(stream.asked).toEqual([]);
  });

  test('the stream answers nothing, or a fault, or is another one: begins at the head', async () => {
    const { stream, timers, latest } = create();
    const unanswered = latest();
    await turn();
    timers[0]?.();
    expect(await unanswered).toEqual({ sequence: HEAD });
    stream.asked[0]?.fail();
    const failed = latest();
    await turn();
    stream.asked[1]?.fail();
    expect(await failed).toEqual({ sequence: HEAD });
    const other = latest();
    await turn();
    stream.asked[2]?.answer(LAST, 'f');
    expect(await other).toEqual({ sequence: HEAD });
  });
});

describe('a time after the newest event of the tail', () => {
  const createWithEvent = () => {
    const world = create();
    const stored = { sequence: HEAD + 1, topic: 'a', timeMs: 100, json: Buffer.from('{}') };
    world.tail.appendEntry(new EventEntry('e', stored));
    return world;
  };

  test('the feed is behind: begins where the stream has the first event of that time', async () => {
    const { stream, at } = createWithEvent();
    stream.found = LAST - 1;
    const start = at(200);
    await turn();
    stream.asked[0]?.answer(LAST);
    expect(await start).toEqual({ sequence: LAST - 1 });
  });

  test('the stream ends there too: begins at the head, without a search', async () => {
    const { stream, at } = createWithEvent();
    const start = at(200);
    await turn();
    stream.asked[0]?.answer(HEAD + 1);
    expect(await start).toEqual({ sequence: HEAD + 1 });
    expect(stream.asked).toHaveLength(1);
  });

  test('NATS is away: begins at the head, at once', async () => {
    const { stream, at } = createWithEvent();
    stream.connected = false;
    expect(await at(200)).toEqual({ sequence: HEAD + 1 });
    expect(stream.asked).toEqual([]);
  });
});
