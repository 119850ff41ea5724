import { matches, TypeFilter } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EventEntry } from './event-entry.ts';
import { PatternSet } from './pattern-set.ts';
import { Tail, type TailLimits } from './tail.ts';

/** The tail reads a few topics by the index. The numbered topics are too many for it: it scans. */
const topic = fc.oneof(
  fc.constantFrom('a', 'a.b', 'b.c', 'b.d'),
  fc.integer({ min: 0, max: 150 }).map((index) => `n.${index}`),
);
const patterns = fc.uniqueArray(
  fc.constantFrom('a', 'a.*', 'b.*', 'b.c', '>', 'n.*', 'n.7', '*.c'),
  {
    minLength: 1,
    maxLength: 3,
  },
);

const stored = fc.record({
  topic,
  bytes: fc.integer({ min: 2, max: 400 }),
  /** Sequences that the feed skipped before the event. */
  skipped: fc.constantFrom(0, 0, 0, 1, 3),
});

interface Filled {
  readonly tail: Tail;
  readonly all: readonly EventEntry[];
}

const START = 10;

function fill(
  events: readonly { topic: string; bytes: number; skipped: number }[],
  limits: TailLimits,
): Filled {
  const tail = new Tail(START, limits);
  const all: EventEntry[] = [];
  let sequence = START;
  for (const { topic: name, bytes, skipped } of events) {
    for (let count = 0; count < skipped; count++) tail.advanceHead(++sequence);
    const json = Buffer.alloc(bytes);
    sequence++;
    const event = { sequence, topic: name, timeMs: Math.floor(sequence / 2), json };
    const entry = new EventEntry('e', event);
    tail.appendEntry(entry);
    all.push(entry);
  }
  return { tail, all };
}

/** Reads up to the head as a catch-up reader does. */
function readOn(tail: Tail, set: PatternSet, after: number, eventsMax: number): EventEntry[] {
  const entries: EventEntry[] = [];
  let position = after;
  while (position < tail.head) {
    const slice = tail.readEntries(set, position, { eventsMax });
    expect(slice.entries.length).toBeLessThanOrEqual(eventsMax);
    expect(slice.through).toBeGreaterThan(position);
    entries.push(...slice.entries);
    position = slice.through;
  }
  return entries;
}

describe('tail', () => {
  test('read by types: any events, limits and types: every match once, in order', () => {
    const typed = fc.record({ topic, type: fc.constantFrom('t', 't.a', 'u', 'v') });
    const names = fc.uniqueArray(fc.constantFrom('t', 't*', 't.*', 'u', 'w'), { minLength: 1 });
    const max = fc.record({ eventsMax: fc.nat(5).map((n) => n + 1), looks: fc.nat(3) });
    fc.assert(
      fc.property(fc.array(typed), patterns, names, max, (events, list, wanted, limits) => {
        const types = new TypeFilter(wanted);
        const tail = new Tail(START, { bytesMax: 1e6, eventsMax: 1e6 });
        const all = events.map(({ topic: name, type }, index) => {
          const json = Buffer.from(JSON.stringify({ type, data: 'x'.repeat(index) }));
          const event = { sequence: START + 1 + index, topic: name, timeMs: 0, json };
          const entry = new EventEntry('e', event);
          tail.appendEntry(entry);
          return { entry, type };
        });
        const expected = all.filter(({ entry, type }) => {
          return list.some((one) => matches(one, entry.topic)) && types.accepts(type);
        });
        const set = new PatternSet(list, types);
        const read: EventEntry[] = [];
        for (let position = START; position < tail.head; ) {
          let looks = 0;
          const isOver = () => ++looks > limits.looks;
          const { entries, through } = tail.readEntries(set, position, { ...limits, isOver });
          expect(through).toBeGreaterThan(position);
          read.push(...entries);
          position = through;
        }
        expect(read).toEqual(expected.map(({ entry }) => entry));
      }),
    );
  });

  test('read by types: a million events of another type: short steps, and each ends by the clock', () => {
    const tail = new Tail(0, { bytesMax: 1e12, eventsMax: 2e6 });
    const json = Buffer.from(
      JSON.stringify({ specversion: '1.0', id: 'x', source: '/s', type: 't' }),
    );
    for (let sequence = 1; sequence <= 1_000_000; sequence++) {
      tail.appendEntry(new EventEntry('e', { sequence, topic: 'a', timeMs: 0, json }));
    }
    const set = new PatternSet(['a'], new TypeFilter(['u*']));
    let steps = 0;
    for (let position = 0; position < tail.head; steps++) {
      const slice = tail.readEntries(set, position, { eventsMax: 512 });
      expect(slice.entries).toEqual([]);
      expect(slice.through - position).toBeLessThanOrEqual(512);
      position = slice.through;
    }
    expect(steps).toBe(Math.ceil(1_000_000 / 512));
    const { through } = tail.readEntries(set, 0, { eventsMax: 512, isOver: () => true });
    expect(through).toBe(8);
  });

  test('read: any events, limits and patterns, from any place on: every match once, in order', () => {
    const limits = fc.record({
      bytesMax: fc.constantFrom(2000, 20_000, 1_000_000),
      eventsMax: fc.constantFrom(1, 5, 100, 1000),
    });
    fc.assert(
      fc.property(
        fc.array(stored, { maxLength: 300, size: 'max' }),
        limits,
        patterns,
        fc.integer({ min: 0, max: 400 }),
        fc.constantFrom(1, 2, 7, 512),
        (events, tailLimits, asked, ahead, eventsMax) => {
          const { tail, all } = fill(events, tailLimits);
          const after = tail.floor + ahead;
          const read = readOn(tail, new PatternSet(asked), after, eventsMax);
          const expected = all.filter(({ sequence, topic: name }) => {
            return sequence > after && asked.some((pattern) => matches(pattern, name));
          });
          expect(read).toEqual(expected);
        },
      ),
      { numRuns: 200 },
    );
  });

  test('limits: any events: kept in bytes and number, complete above its floor', () => {
    fc.assert(
      fc.property(fc.array(stored, { maxLength: 100 }), (events) => {
        const limits = { bytesMax: 6000, eventsMax: 8 };
        const { tail, all } = fill(events, limits);
        expect(tail.bytes).toBeLessThanOrEqual(limits.bytesMax);
        expect(tail.length).toBeLessThanOrEqual(limits.eventsMax);
        const kept = all.filter(({ sequence }) => sequence > tail.floor);
        expect(tail.length).toBe(kept.length);
        const topics = new Set(kept.map(({ topic: name }) => tail.topics.get(name)));
        const charged = [...kept, ...topics].reduce(
          (sum, one) => sum + (one?.chargedBytes ?? 0),
          0,
        );
        expect(tail.bytes).toBe(charged);
        expect(tail.oldestMs).toBe(kept[0]?.timeMs);
        const read = readOn(tail, new PatternSet(['>']), tail.floor, 3);
        expect(read).toEqual(kept);
      }),
    );
  });

  test('time: any moment: the sequence before it, or nothing where the tail does not reach', () => {
    fc.assert(
      fc.property(
        fc.array(stored, { maxLength: 60 }),
        fc.integer({ min: 0, max: 150 }),
        (events, timeMs) => {
          const { tail, all } = fill(events, { bytesMax: 1_000_000, eventsMax: 10 });
          const kept = all.filter(({ sequence }) => sequence > tail.floor);
          const [first] = kept;
          const next = kept.find((entry) => entry.timeMs >= timeMs);
          const isWithin = first !== undefined && first.timeMs < timeMs && next !== undefined;
          expect(tail.sequenceBefore(timeMs)).toBe(isWithin ? next.sequence - 1 : undefined);
          expect(tail.endsBefore(timeMs)).toBe(first !== undefined && !next);
        },
      ),
    );
  });

  test('event: larger than the tail: passed, and the floor is at it', () => {
    const { tail } = fill([{ topic: 'a', bytes: 5000, skipped: 0 }], {
      bytesMax: 100,
      eventsMax: 5,
    });
    expect(tail).toMatchObject({ length: 0, bytes: 0, floor: START + 1, head: START + 1 });
  });

  test('scan: more entries than one step looks at: goes on where it stopped', () => {
    const events = Array.from({ length: 10_000 }, (_, index) => {
      return { topic: `n.${index % 200}`, bytes: 2, skipped: 0 };
    });
    const { tail, all } = fill(events, { bytesMax: 100_000_000, eventsMax: 100_000 });
    const slice = tail.readEntries(new PatternSet(['n.*']), START, { eventsMax: 100_000 });
    expect(slice.through).toBeLessThan(tail.head);
    expect(readOn(tail, new PatternSet(['n.*', 'x']), START, 512)).toEqual(all);
  });

  test('expired entries: left out from the moment on, by index and by scan, and the reader moves on', () => {
    const limits = { bytesMax: 1_000_000, eventsMax: 1000 };
    let nowMs = 1000;
    const tail = new Tail(0, limits, () => nowMs);
    for (let sequence = 1; sequence <= 200; sequence++) {
      const expires = sequence % 2 === 0 ? { expires: new Date(2000).toISOString() } : {};
      const json = Buffer.from(JSON.stringify({ type: 't', ...expires }));
      const parts = { sequence, topic: `n.${sequence}`, timeMs: sequence, json };
      tail.appendEntry(new EventEntry('e', parts));
    }
    for (const list of [['n.2', 'n.3'], ['n.*'], ['n.2']]) {
      const read = (set: PatternSet) => tail.readEntries(set, 0, { eventsMax: 512 });
      for (const set of [new PatternSet(list), new PatternSet(list, new TypeFilter(['t']))]) {
        nowMs = 1999;
        const before = read(set).entries.map(({ sequence }) => sequence);
        nowMs = 2000;
        const after = read(set);
        expect(before).toContain(2);
        const odd = before.filter((sequence) => sequence % 2 === 1);
        expect(after.entries.map(({ sequence }) => sequence)).toEqual(odd);
        expect(after.through).toBe(200);
      }
    }
  });

  test('erased entries: no reader gets them, their memory is free, and later ones leave in order', () => {
    fc.assert(
      fc.property(
        fc.array(stored, { minLength: 1, maxLength: 40 }),
        fc.array(fc.nat(50), { maxLength: 5 }),
        fc.boolean(),
        (events, picked, wholeTopic) => {
          const { tail, all } = fill(events, { bytesMax: 1_000_000, eventsMax: 30 });
          const kept = all.filter(({ sequence }) => sequence > tail.floor);
          const gone = new Set<number>();
          for (const index of picked) {
            const entry = kept[index % kept.length];
            if (!entry) continue;
            const erased = wholeTopic
              ? kept.filter((one) => one.topic === entry.topic && one.sequence < tail.head)
              : [entry];
            for (const { sequence } of erased) gone.add(sequence);
            if (wholeTopic) tail.eraseTopic(entry.topic, tail.head);
            else tail.eraseEvent(entry.sequence);
          }
          tail.eraseEvent(tail.head + 1);
          const shown = kept.filter(({ sequence }) => !gone.has(sequence));
          expect(readOn(tail, new PatternSet(['>']), tail.floor, 3)).toEqual(shown);
          const wanted = shown.filter((entry) => matches('n.*', entry.topic));
          expect(readOn(tail, new PatternSet(['n.*']), tail.floor, 3)).toEqual(wanted);
          expect(tail.between(tail.floor, tail.head)).toEqual(shown);
          expect(tail.length).toBe(kept.length);
          const { bytes } = tail;
          tail.reset(tail.head);
          const full = fill(events, { bytesMax: 1_000_000, eventsMax: 30 }).tail.bytes;
          const freed = kept.filter(({ sequence }) => gone.has(sequence));
          expect(full - bytes).toBe(freed.reduce((sum, { json }) => sum + json.length, 0));
        },
      ),
    );
  });

  test('prepended entries: any events, limits and pieces: complete above the floor, within the limits', () => {
    const limits = fc.record({
      bytesMax: fc.integer({ min: 500, max: 20_000 }),
      eventsMax: fc.integer({ min: 1, max: 30 }),
    });
    const sizes = { followed: fc.nat(10), piece: fc.integer({ min: 1, max: 7 }) };
    fc.assert(
      fc.property(
        fc.array(stored),
        patterns,
        limits,
        fc.record(sizes),
        (events, list, max, size) => {
          const { all } = fill(events, { bytesMax: 1e9, eventsMax: 1e9 });
          let older = all.slice(0, Math.max(0, all.length - size.followed));
          const floor = older.at(-1)?.sequence ?? START;
          const tail = new Tail(floor, max);
          for (const entry of all.slice(older.length)) tail.appendEntry(entry);
          for (let hasRoom = tail.floor === floor; hasRoom && older.length > 0; ) {
            const piece = older.slice(-size.piece);
            older = older.slice(0, -size.piece);
            hasRoom = tail.prependEntries(piece, older.at(-1)?.sequence ?? START);
          }
          expect(tail.length).toBeLessThanOrEqual(max.eventsMax);
          expect(tail.bytes).toBeLessThanOrEqual(max.bytesMax);
          expect(tail.followedAfter).toBe(Math.max(floor, tail.floor));
          const set = new PatternSet(list);
          const expected = all.filter(({ sequence, topic: name }) => {
            return sequence > tail.floor && list.some((pattern) => matches(pattern, name));
          });
          expect(readOn(tail, set, tail.floor, 5)).toEqual(expected);
        },
      ),
    );
  });

  test('reset: everything is forgotten', () => {
    const { tail } = fill([{ topic: 'a', bytes: 9, skipped: 0 }], {
      bytesMax: 10_000,
      eventsMax: 5,
    });
    tail.reset(7);
    expect(tail).toMatchObject({ length: 0, bytes: 0, floor: 7, head: 7 });
    expect(tail.readEntries(new PatternSet(['a']), 7, { eventsMax: 5 })).toEqual({
      entries: [],
      through: 7,
    });
  });
});
