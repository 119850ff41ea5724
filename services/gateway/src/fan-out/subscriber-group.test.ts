import { describe, expect, test } from 'vitest';
import { Counts } from '../counters/counters.ts';
import { Entry } from '../log/event-entry.ts';
import { PatternSet } from '../log/pattern-set.ts';
import { webSocketDialect } from '../transports/websocket/encoder.ts';
import { Gatherer } from './batch.ts';
import type { Outlet } from './sink.ts';
import { COHORT_QUEUE_MAX, Cohort, type LiveConnection } from './subscriber-group.ts';

const WRITE_MS = 1;
const TURN_MS = 8;

/** A connection that notes what it is given; each write takes a millisecond. */
class Member implements LiveConnection {
  liveSequence = 0;
  delivered = 0;
  fellBehindAt: number | undefined;
  readonly events: number[] = [];
  readonly outlet: Outlet;
  full = false;

  constructor(clock: { nowMs: number }) {
    const isWritable = (): boolean => !this.full;
    this.outlet = {
      get writable() {
        return isWritable();
      },
      unsentBytes: 0,
      takenBytes: 0,
      write: (bytes) => {
        clock.nowMs += WRITE_MS;
        for (const [, sequence] of Buffer.from(bytes)
          .toString()
          .matchAll(/"cursor":"e-(\d+)"/g)) {
          this.events.push(Number(sequence));
        }
        return true;
      },
      ping: () => {},
      close: () => {},
    };
  }

  fallBehind(position: number): void {
    this.fellBehindAt = position;
  }
}

function entry(sequence: number, bytes = 10): Entry {
  const json = Buffer.alloc(bytes, 'x');
  return new Entry({ epoch: 'e', sequence }, { topic: 'a', timeMs: 0, json });
}

function createCohort() {
  const clock = { nowMs: 0 };
  const released: Cohort[] = [];
  const holding = new Set<unknown>();
  const cohort = new Cohort('key', new PatternSet(['a']), webSocketDialect, {
    scheduler: { nowMs: () => clock.nowMs, soon: () => {}, after: () => () => {} },
    counts: new Counts(),
    gatherer: new Gatherer(),
    wallMs: () => 0,
    turns: {
      add: () => {},
      holdIntake: (task) => void holding.add(task),
      releaseIntake: (task) => void holding.delete(task),
    },
    release: (one) => released.push(one),
  });
  const join = (position: number): Member => {
    const member = new Member(clock);
    cohort.join(member, position);
    return member;
  };
  return { cohort, clock, released, holding, join };
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

describe('cohort', () => {
  test('round: more members than a turn has time for, events in between: all to each, in order', () => {
    const { cohort, clock, join } = createCohort();
    const members = Array.from({ length: 100 }, () => join(0));
    let sequence = 0;
    let turns = 0;
    cohort.offer(entry(++sequence));
    while (cohort.run(clock.nowMs + TURN_MS)) {
      turns++;
      if (sequence < 20) cohort.offer(entry(++sequence));
    }
    expect(turns).toBeGreaterThan(20);
    for (const { events } of members) expect(events).toEqual(range(1, sequence));
  });

  test('turn: no time left: ends after 16 members at the latest', () => {
    const { cohort, clock, join } = createCohort();
    for (let count = 0; count < 100; count++) join(0);
    cohort.offer(entry(1));
    expect(cohort.run(clock.nowMs)).toBe(true);
    expect(clock.nowMs).toBe(16 * WRITE_MS);
  });

  test('member: joins at the head in the middle of a round: gets what comes after', () => {
    const { cohort, clock, join } = createCohort();
    for (let count = 0; count < 40; count++) join(0);
    cohort.offer(entry(1));
    cohort.run(clock.nowMs);
    const late = join(1);
    cohort.offer(entry(2));
    while (cohort.run(clock.nowMs + TURN_MS));
    expect(late.events).toEqual([2]);
  });

  test('member: full socket: falls behind at what it did not get, and the others get all', () => {
    const { cohort, clock, join } = createCohort();
    const [slow, quick] = [join(0), join(0)];
    // Each is a chunk of its own.
    for (const sequence of [3, 5, 7]) cohort.offer(entry(sequence, 40_000));
    const { outlet } = slow;
    const write = outlet.write.bind(outlet);
    outlet.write = (bytes) => {
      slow.full = true;
      return write(bytes);
    };
    while (cohort.run(clock.nowMs + TURN_MS));
    expect(slow).toMatchObject({ events: [3], fellBehindAt: 4 });
    expect(quick).toMatchObject({ events: [3, 5, 7], fellBehindAt: undefined });
    expect(cohort.size).toBe(1);
  });

  test('queue: full: the feed waits until a round has made room', () => {
    const { cohort, clock, holding, join } = createCohort();
    const members = [join(0), join(0)];
    for (const sequence of range(1, COHORT_QUEUE_MAX - 1)) cohort.offer(entry(sequence));
    expect(holding.size).toBe(0);
    cohort.offer(entry(COHORT_QUEUE_MAX));
    // What the turn under way still brings is kept too.
    cohort.offer(entry(COHORT_QUEUE_MAX + 1));
    expect(holding.size).toBe(1);
    while (cohort.run(clock.nowMs + TURN_MS));
    expect(holding.size).toBe(0);
    for (const { events } of members) expect(events).toEqual(range(1, COHORT_QUEUE_MAX + 1));
  });

  test('queue: full, and the last member leaves: the feed goes on', () => {
    const { cohort, holding, join } = createCohort();
    const member = join(0);
    for (const sequence of range(1, COHORT_QUEUE_MAX)) cohort.offer(entry(sequence));
    expect(holding.size).toBe(1);
    cohort.leave(member);
    expect(holding.size).toBe(0);
  });

  test('last member: leaves: the cohort is released', () => {
    const { cohort, released, join } = createCohort();
    const member = join(0);
    cohort.offer(entry(1));
    cohort.leave(member);
    expect(released).toEqual([cohort]);
    expect(cohort.run(0)).toBe(false);
  });

  test('position: of a member that lacks something, of one that does not', () => {
    const { cohort, join } = createCohort();
    const member = join(4);
    expect(cohort.behindAt(member)).toBeUndefined();
    cohort.offer(entry(9));
    expect(cohort.behindAt(member)).toBe(8);
    expect(cohort.behindAt(join(9))).toBeUndefined();
  });
});
