import { describe, expect, test } from 'vitest';
import { Counters } from '../counters/counters.ts';
import { EventEntry } from '../log/event-entry.ts';
import { PatternSet } from '../log/pattern-set.ts';
import { webSocketEncoder } from '../transports/websocket/encoder.ts';
import { WriteBuffer } from './batch.ts';
import type { Sink } from './sink.ts';
import {
  GROUP_BYTES_MAX,
  GROUP_QUEUE_MAX,
  type LiveConnection,
  SubscriberGroup,
} from './subscriber-group.ts';

const WRITE_MS = 1;
const TASK_SLICE_MS = 8;

/** A connection that records its writes. Each write takes a millisecond. */
class Member implements LiveConnection {
  liveSequence = 0;
  delivered = 0;
  fellBehindAt: number | undefined;
  readonly events: number[] = [];
  readonly sink: Sink;
  full = false;

  constructor(clock: { nowMs: number }) {
    const isWritable = (): boolean => !this.full;
    this.sink = {
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

function entry(sequence: number, bytes = 10): EventEntry {
  const json = Buffer.alloc(bytes, 'x');
  return new EventEntry('e', { sequence, topic: 'a', timeMs: 0, json });
}

function createGroup() {
  const clock = { nowMs: 0 };
  const released: SubscriberGroup[] = [];
  const holding = new Set<unknown>();
  const group = new SubscriberGroup(new PatternSet(['a']), webSocketEncoder, {
    clock: { nowMs: () => clock.nowMs, soon: () => {}, after: () => () => {} },
    counters: new Counters(),
    writeBuffer: new WriteBuffer(),
    wallMs: () => 0,
    tasks: {
      schedule: () => {},
      pauseFeed: (task) => void holding.add(task),
      resumeFeed: (task) => void holding.delete(task),
    },
    onEmpty: (one) => released.push(one),
  });
  const join = (position: number): Member => {
    const member = new Member(clock);
    group.addMember(member, position);
    return member;
  };
  return { group, clock, released, holding, join };
}

function range(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}

describe('group', () => {
  test('round: more members than a turn has time for, events in between: all to each, in order', () => {
    const { group, clock, join } = createGroup();
    const members = Array.from({ length: 100 }, () => join(0));
    let sequence = 0;
    let tasks = 0;
    group.enqueueEvent(entry(++sequence));
    while (group.run(clock.nowMs + TASK_SLICE_MS)) {
      tasks++;
      if (sequence < 20) group.enqueueEvent(entry(++sequence));
    }
    expect(tasks).toBeGreaterThan(20);
    for (const { events } of members) expect(events).toEqual(range(1, sequence));
  });

  test('turn: no time left: ends after 16 members at the latest', () => {
    const { group, clock, join } = createGroup();
    for (let count = 0; count < 100; count++) join(0);
    group.enqueueEvent(entry(1));
    expect(group.run(clock.nowMs)).toBe(true);
    expect(clock.nowMs).toBe(16 * WRITE_MS);
  });

  test('member: joins at the head in the middle of a round: gets what comes after', () => {
    const { group, clock, join } = createGroup();
    for (let count = 0; count < 40; count++) join(0);
    group.enqueueEvent(entry(1));
    group.run(clock.nowMs);
    const late = join(1);
    group.enqueueEvent(entry(2));
    while (group.run(clock.nowMs + TASK_SLICE_MS));
    expect(late.events).toEqual([2]);
  });

  test('member: full socket: falls behind at what it did not get, and the others get all', () => {
    const { group, clock, join } = createGroup();
    const [slow, quick] = [join(0), join(0)];
    // Each event is a batch of its own.
    for (const sequence of [3, 5, 7]) group.enqueueEvent(entry(sequence, 40_000));
    const { sink } = slow;
    const write = sink.write.bind(sink);
    sink.write = (bytes) => {
      slow.full = true;
      return write(bytes);
    };
    while (group.run(clock.nowMs + TASK_SLICE_MS));
    expect(slow).toMatchObject({ events: [3], fellBehindAt: 4 });
    expect(quick).toMatchObject({ events: [3, 5, 7], fellBehindAt: undefined });
    expect(group.size).toBe(1);
  });

  test('queue: full: the feed waits until a round has made room', () => {
    const { group, clock, holding, join } = createGroup();
    const members = [join(0), join(0)];
    for (const sequence of range(1, GROUP_QUEUE_MAX - 1)) group.enqueueEvent(entry(sequence));
    expect(holding.size).toBe(0);
    group.enqueueEvent(entry(GROUP_QUEUE_MAX));
    // The group also keeps events that the current turn still brings.
    group.enqueueEvent(entry(GROUP_QUEUE_MAX + 1));
    expect(holding.size).toBe(1);
    while (group.run(clock.nowMs + TASK_SLICE_MS));
    expect(holding.size).toBe(0);
    for (const { events } of members) expect(events).toEqual(range(1, GROUP_QUEUE_MAX + 1));
  });

  test('queue: few events of many bytes: the feed waits until a round has made room', () => {
    const { group, clock, holding, join } = createGroup();
    join(0);
    const bytes = GROUP_BYTES_MAX / 8;
    for (const sequence of range(1, 7)) group.enqueueEvent(entry(sequence, bytes));
    expect(holding.size).toBe(0);
    group.enqueueEvent(entry(8, bytes));
    expect(holding.size).toBe(1);
    while (group.run(clock.nowMs + TASK_SLICE_MS));
    expect(holding.size).toBe(0);
    for (const sequence of range(9, 15)) group.enqueueEvent(entry(sequence, bytes));
    expect(holding.size).toBe(0);
  });

  test('queue: full, and the last member leaves: the feed goes on', () => {
    const { group, holding, join } = createGroup();
    const member = join(0);
    for (const sequence of range(1, GROUP_QUEUE_MAX)) group.enqueueEvent(entry(sequence));
    expect(holding.size).toBe(1);
    group.removeMember(member);
    expect(holding.size).toBe(0);
  });

  test('last member: leaves: the group is released', () => {
    const { group, released, join } = createGroup();
    const member = join(0);
    group.enqueueEvent(entry(1));
    group.removeMember(member);
    expect(released).toEqual([group]);
    expect(group.run(0)).toBe(false);
  });

  test('position: of a member that lacks something, of one that does not', () => {
    const { group, join } = createGroup();
    const member = join(4);
    expect(group.sequenceBehindHead(member)).toBeUndefined();
    group.enqueueEvent(entry(9));
    expect(group.sequenceBehindHead(member)).toBe(8);
    expect(group.sequenceBehindHead(join(9))).toBeUndefined();
  });
});
