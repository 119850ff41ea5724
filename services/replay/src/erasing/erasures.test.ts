import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CloudEvent, type Erasure, TidemarkError, toErasureEvent } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Archive } from '../archive/archive.ts';
import { ArchiveStore } from '../archive/archive-store.ts';
import { STEP_EVENTS_MAX } from '../sqlite/removal.ts';
import { type IndexedEvent, toIndexed } from '../sqlite/writer.ts';
import { type ErasedStream, Eraser } from './eraser.ts';

const logger = createLogger('test', 'silent');

let folder: string;
let store: ArchiveStore;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-erasures-'));
  store = new ArchiveStore(join(folder, 'archive.db'), logger);
  store.archive.begin({ epoch: 'e' }, 1);
});

afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true });
});

function event(sequence: number, topic: string): IndexedEvent {
  const data = `secret-${topic}-${sequence}-of-a-person`;
  const json = JSON.stringify({ id: `${sequence}`, source: '/s', type: 't', topic, data });
  return toIndexed({ sequence, timeMs: sequence, json });
}

function record(sequence: number, erasure: Erasure): IndexedEvent {
  const parts = { id: `${sequence}`, reason: 'r', by: 'operator', nowMs: 0 };
  const json = JSON.stringify(toErasureEvent({ ...parts, erasure }));
  return toIndexed({ sequence, timeMs: sequence, json });
}

function append(events: readonly IndexedEvent[], missing: { from: number; to: number }[] = []) {
  store.archive.appendEvents(events, missing, events.at(-1)?.sequence ?? 0);
}

function read({ archive }: { archive: Archive } = store): number[] {
  const selection = archive.select({ patterns: ['>'] });
  const read: number[] = [];
  // A step ends by the clock, so there may be several.
  for (let left = { after: 0, through: 10_000 }; left.after < left.through; ) {
    const step = { ...left, order: 'asc', eventsMax: 10_000, bytesMax: 1 << 24 } as const;
    const { events, remaining } = selection.readPage(step);
    read.push(...events.map(({ sequence }) => sequence));
    left = remaining;
  }
  return read;
}

/** Carries out everything in the archive. */
function eraseAll({ archive }: { archive: Archive } = store): void {
  for (let next = archive.erasures.firstIn('archive'); next; ) {
    archive.eraseStep(next);
    next = archive.erasures.firstIn('archive');
  }
}

function contents(): string {
  return readdirSync(folder)
    .map((name) => readFileSync(join(folder, name), 'latin1'))
    .join('');
}

/** A stream with these sequences, all of one topic. */
function streamOf(
  sequences: Set<number>,
  fails: () => boolean = () => false,
  notices: CloudEvent[] = [],
): ErasedStream {
  return {
    async eraseEvent(sequence) {
      if (fails()) throw new Error('NATS is away.');
      sequences.delete(sequence);
    },
    async append(notice) {
      if (fails()) throw new TidemarkError('unavailable', 'NATS is away.');
      notices.push(notice);
    },
    async nextOfTopic(_, from) {
      return [...sequences].sort((a, b) => a - b).find((sequence) => sequence >= from);
    },
  };
}

async function run(stream: ErasedStream, until: () => void): Promise<void> {
  const eraser = new Eraser({ store, stream, logger });
  eraser.start();
  try {
    await vi.waitFor(until, 10_000);
  } finally {
    eraser.stop();
  }
}

describe('erasures in the archive', () => {
  test('single events, and a topic up to its record: gone, also from the disk; all others stay', () => {
    append([event(1, 'a'), event(2, 'a'), event(3, 'b'), event(4, 'b'), event(5, 'c')]);
    append([record(6, { sequences: [2] }), record(7, { topic: 'b' }), event(8, 'b')]);
    expect(store.archive.erasures.firstIn('archive')).toMatchObject({ record: 6, events: 0 });
    eraseAll();
    expect(read()).toEqual([1, 5, 6, 7, 8]);
    expect(store.archive.erasures.find(6)).toMatchObject({ events: 1, state: 'stream' });
    expect(store.archive.erasures.find(7)).toMatchObject({ events: 2, state: 'stream' });
    expect(store.archive.topics.findEntry('a')).toMatchObject({ count: 1, lastSequence: 1 });
    expect(store.archive.topics.findEntry('b')).toMatchObject({ count: 1, firstSequence: 8 });
    expect(store.archive.flushRemoved()).toBe(true);
    for (const gone of ['a-2', 'b-3', 'b-4']) expect(contents()).not.toContain(`secret-${gone}`);
    for (const kept of ['a-1', 'c-5', 'b-8']) expect(contents()).toContain(`secret-${kept}`);
  });

  test('a topic with more events than one step removes: in steps', () => {
    const many = STEP_EVENTS_MAX + 50;
    append(Array.from({ length: many }, (_, index) => event(index + 1, 'a')));
    append([record(many + 1, { topic: 'a' })]);
    const removed = [];
    for (let next = store.archive.erasures.firstIn('archive'); next; ) {
      removed.push(store.archive.eraseStep(next));
      next = store.archive.erasures.firstIn('archive');
    }
    expect(removed).toEqual([STEP_EVENTS_MAX, 50, 0]);
    expect(read()).toEqual([many + 1]);
  });

  test('an erased event that it never had: is not missing, and not taken from another archive', () => {
    append([event(1, 'a'), event(6, 'a')], [{ from: 2, to: 5 }]);
    append([record(7, { sequences: [3] }), record(8, { topic: 'gone' })]);
    const missing = () => store.archive.missingRanges({ after: 0, through: 8 });
    expect(missing()).toEqual([
      { from: 2, to: 2 },
      { from: 4, to: 5 },
    ]);
    // The other archive has not read the records yet.
    expect(store.archive.fillPart({ from: 4, to: 5 }, [event(4, 'gone'), event(5, 'a')])).toBe(
      true,
    );
    expect(store.archive.fillPart({ from: 2, to: 2 }, [event(2, 'gone')])).toBe(true);
    expect(missing()).toEqual([]);
    expect(read()).toEqual([1, 5, 6, 7, 8]);
    for (const [sequence, topic] of [
      [3, 'x'],
      [2, 'gone'],
      [4, 'gone'],
    ] as const) {
      expect(store.archive.isErased({ sequence, topic })).toBe(true);
    }
    expect(store.archive.isErased({ sequence: 9, topic: 'gone' })).toBe(false);
  });

  test('a record that comes with what another archive fills: is carried out', () => {
    append([event(1, 'a'), event(5, 'a')], [{ from: 2, to: 4 }]);
    store.archive.fillPart({ from: 2, to: 4 }, [event(2, 'a'), record(3, { sequences: [1] })]);
    eraseAll();
    expect(read()).toEqual([2, 3, 5]);
  });

  test('a record in an end that the log lost: its erasure is forgotten', () => {
    append([event(1, 'a'), record(2, { topic: 'a' })]);
    store.archive.truncateAfter(1);
    append([event(2, 'a')]);
    expect(store.archive.erasures.firstIn('archive')).toBeUndefined();
    expect(read()).toEqual([1, 2]);
  });

  test('a record that names itself or what comes later, or holds anything else: erases nothing of it', () => {
    append([event(1, 'a'), record(2, { sequences: [1, 2, 3] }), event(3, 'a')]);
    const odd = { ...record(4, { sequences: [3] }), erasure: undefined };
    append([odd as unknown as IndexedEvent]);
    eraseAll();
    expect(read()).toEqual([2, 3, 4]);
  });
});

describe('eraser', () => {
  test('archive, disk and stream: all of it, and then it is complete', async () => {
    append([...[1, 2, 3].map((sequence) => event(sequence, 'a')), record(4, { topic: 'a' })]);
    const stream = new Set([1, 2, 3, 4]);
    await run(streamOf(stream), () => {
      expect(store.archive.erasures.find(4)?.state).toBe('complete');
    });
    expect([...stream]).toEqual([4]);
    expect(contents()).not.toContain('secret-a');
  });

  test('NATS away, and a process that begins again: goes on where it was', async () => {
    append([...[1, 2].map((sequence) => event(sequence, 'a')), record(3, { sequences: [1, 2] })]);
    const stream = new Set([1, 2, 3]);
    let calls = 0;
    await run(
      streamOf(stream, () => ++calls > 1),
      () => expect(calls).toBe(2),
    );
    expect(stream).toEqual(new Set([2, 3]));
    await store.close();
    store = new ArchiveStore(join(folder, 'archive.db'), logger);
    expect(store.archive.erasures.find(3)?.state).toBe('stream');
    await run(streamOf(stream), () => {
      expect(store.archive.erasures.find(3)?.state).toBe('complete');
    });
    expect(stream).toEqual(new Set([3]));
  });

  test('a new epoch, whose stream may be a copy from before: all erasures are carried out again', async () => {
    append([event(1, 'a'), record(2, { sequences: [1] })]);
    const complete = () => expect(store.archive.erasures.find(2)?.state).toBe('complete');
    await run(streamOf(new Set([1, 2])), complete);
    store.archive.enterEpoch({ epoch: 'e.2', earlier: [{ epoch: 'e', through: 2 }] });
    const copy = new Set([1, 2]);
    await run(streamOf(copy), complete);
    expect(copy).toEqual(new Set([2]));
  });
});

describe('notices', () => {
  const recordedMs = Date.now();
  const recent = (event: IndexedEvent) => ({ ...event, timeMs: recordedMs });
  const complete = (sequence: number) => () => {
    expect(store.archive.erasures.find(sequence)?.state).toBe('complete');
    expect(store.archive.erasures.nextNotice()).toBeUndefined();
  };

  test('each topic: is told what was removed, without anything of it', async () => {
    append([event(1, 'a'), event(2, 'b'), event(3, 'a'), event(4, 'c')]);
    append([recent(record(5, { sequences: [1, 2, 3] })), recent(record(6, { topic: 'c' }))]);
    append([recent(record(7, { sequences: [1] })), recent(record(8, { topic: 'nothing' }))]);
    const notices: CloudEvent[] = [];
    await run(
      streamOf(new Set(), () => false, notices),
      complete(8),
    );
    expect(notices.map(({ topic, data }) => [topic, data])).toEqual([
      ['tidemark.erased.a', { record: 'e-5', cursors: ['e-1', 'e-3'] }],
      ['tidemark.erased.b', { record: 'e-5', cursors: ['e-2'] }],
      ['tidemark.erased.c', { record: 'e-6' }],
    ]);
    expect(JSON.stringify(notices)).not.toContain('secret');
    expect(notices[0]?.expires).toBe(new Date(recordedMs + 30 * 24 * 3600 * 1000).toISOString());
  });

  test('that cannot be told: keep nothing from being erased, and are told at the next start', async () => {
    append([event(1, 'a'), recent(record(2, { sequences: [1] }))]);
    const { erasures } = store.archive;
    const stream = new Set([1, 2]);
    const refusing = streamOf(stream);
    const failing = {
      ...refusing,
      append: async () => {
        throw new TidemarkError('unavailable', 'It may not.');
      },
    };
    await run(failing, () => expect(erasures.find(2)?.state).toBe('complete'));
    expect(stream).toEqual(new Set([2]));
    expect(erasures.nextNotice()).toMatchObject({ record: 2, topic: 'a', sequences: [1] });
    await store.close();
    store = new ArchiveStore(join(folder, 'archive.db'), logger);
    const notices: CloudEvent[] = [];
    await run(
      streamOf(stream, () => false, notices),
      complete(2),
    );
    expect(notices).toHaveLength(1);
  });

  test('another service told the same, the topic is too long, or the record is old: nothing is owed', async () => {
    const long = 'x'.repeat(190);
    append([event(1, 'a'), event(2, long), event(3, 'b')]);
    append([record(4, { sequences: [3] })]);
    append([recent(record(5, { sequences: [1] })), recent(record(6, { topic: long }))]);
    const tried: string[] = [];
    const stream = {
      ...streamOf(new Set()),
      append: async ({ topic }: CloudEvent) => {
        tried.push(topic);
        throw new TidemarkError('conflict', 'It is stored.');
      },
    };
    await run(stream, complete(6));
    expect(tried).toEqual(['tidemark.erased.a']);
  });

  test('records that the log has lost: nobody is told', () => {
    append([event(1, 'a'), recent(record(2, { sequences: [1] }))]);
    eraseAll();
    store.archive.truncateAfter(1);
    expect(store.archive.erasures.nextNotice()).toBeUndefined();
  });
});
