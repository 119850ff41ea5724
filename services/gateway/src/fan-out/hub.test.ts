import { matches, TypeFilter } from '@tidemark/protocol';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Counters } from '../counters/counters.ts';
import { EventEntry } from '../log/event-entry.ts';
import { PatternSet } from '../log/pattern-set.ts';
import { Tail } from '../log/tail.ts';
import type { Clock } from '../scheduling/clock.ts';
import { TaskScheduler } from '../scheduling/task-scheduler.ts';
import { webSocketEncoder } from '../transports/websocket/encoder.ts';
import { WriteBuffer } from './batch.ts';
import { Hub } from './hub.ts';
import type { Sink } from './sink.ts';
import type { LiveConnection, SubscriberGroup } from './subscriber-group.ts';

/** A hub on a tail with a few topics. Its tasks run when the test runs them. */
function createHub(eventsMax: number) {
  const due: (() => void)[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    soon: (task) => void due.push(task),
    after: () => () => {},
  };
  const tail = new Tail(0, { bytesMax: 1e9, eventsMax });
  const counters = new Counters();
  const parts = {
    clock,
    tasks: new TaskScheduler(clock),
    counters,
    writeBuffer: new WriteBuffer(),
  };
  const hub = new Hub({ ...parts, topics: tail.topics, wallMs: () => 0 });
  return {
    hub,
    tail,
    publish(topic: string, type = 't'): number {
      const sequence = tail.head + 1;
      const event = { sequence, topic, timeMs: 0, json: Buffer.from(JSON.stringify({ type })) };
      const entry = new EventEntry('e', event);
      hub.deliverEvent(entry, tail.appendEntry(entry));
      for (let task = due.shift(); task; task = due.shift()) task();
      return sequence;
    },
  };
}

class Reader implements LiveConnection {
  liveSequence = 0;
  delivered = 0;
  patterns: PatternSet;
  readonly received: number[] = [];
  readonly expected: number[] = [];
  readonly sink: Sink;
  group: SubscriberGroup | undefined;

  constructor(patterns: PatternSet) {
    this.patterns = patterns;
    this.sink = {
      writable: true,
      unsentBytes: 0,
      takenBytes: 0,
      write: (bytes) => {
        const text = Buffer.from(bytes).toString();
        for (const [, sequence] of text.matchAll(/"cursor":"e-(\d+)"/g)) {
          this.received.push(Number(sequence));
        }
        return true;
      },
      ping: () => {},
      close: () => {},
    };
  }

  fallBehind(): void {
    throw new Error('No socket is full here.');
  }
}

const token = fc.constantFrom('a', 'b', 'c');
const topic = fc.array(token, { minLength: 1, maxLength: 3 }).map((tokens) => tokens.join('.'));
const pattern = fc
  .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([tokens, open]) => (open ? [...tokens.slice(0, -1), '>'] : tokens).join('.'));
const type = fc.constantFrom('t', 't.a', 't.b', 'u');
const types = fc.oneof(
  { weight: 2, arbitrary: fc.constant(['*']) },
  fc.array(fc.oneof(type, fc.constantFrom('t*', 't.*')), { minLength: 1, maxLength: 2 }),
);
/** One subscription, or several of one connection. */
const set = fc
  .array(fc.tuple(fc.array(pattern, { minLength: 1, maxLength: 3 }), types), {
    minLength: 1,
    maxLength: 3,
  })
  .map((wishes) => {
    return PatternSet.union(
      wishes.map(([list, names]) => new PatternSet(list, new TypeFilter(names))),
    );
  });
const readers = fc.array(set, { minLength: 1, maxLength: 5 });
const event = fc.record({ publish: topic, type });
const turn = fc.record({ joinOrLeave: fc.nat({ max: 4 }) });
const change = fc.record({ repattern: fc.nat({ max: 4 }), patterns: set });
const steps = fc.array(fc.oneof(event, turn, change), { maxLength: 60 });

type Stage = ReturnType<typeof createHub>;

function publishTo(
  crowd: readonly Reader[],
  stage: Stage,
  { publish: name, type: named }: { publish: string; type: string },
): void {
  const sequence = stage.publish(name, named);
  for (const reader of crowd) {
    const wants = reader.patterns.parts.some((part) => {
      return part.list.some((each) => matches(each, name)) && (part.types?.accepts(named) ?? true);
    });
    if (reader.group && wants) reader.expected.push(sequence);
  }
}

function joinOrLeave(reader: Reader, { hub, tail }: Stage): void {
  if (reader.group) {
    reader.group.removeMember(reader);
    reader.group = undefined;
    return;
  }
  const start = { encoder: webSocketEncoder, sequence: tail.head, from: undefined };
  reader.group = hub.moveTo(reader, reader.patterns, start);
}

/** Moves a reader to other patterns, if it has joined. */
function repattern(reader: Reader, patterns: PatternSet, { hub, tail }: Stage): void {
  if (!reader.group) return;
  reader.patterns = patterns;
  const at = { encoder: webSocketEncoder, sequence: tail.head, from: reader.group };
  reader.group = hub.moveTo(reader, reader.patterns, at);
}

describe('hub', () => {
  test('offer: readers join, change and leave between events: each gets what it wants, once', () => {
    // A small tail drops topics, and with them their cached subscribers.
    const run = fc.property(readers, steps, fc.constantFrom(3, 1000), (all, script, eventsMax) => {
      const stage = createHub(eventsMax);
      const crowd = all.map((patterns) => new Reader(patterns));
      for (const step of script) {
        if ('publish' in step) publishTo(crowd, stage, step);
        else if ('joinOrLeave' in step) {
          joinOrLeave(crowd[step.joinOrLeave % crowd.length] as Reader, stage);
        } else {
          repattern(crowd[step.repattern % crowd.length] as Reader, step.patterns, stage);
        }
      }
      for (const { received, expected } of crowd) expect(received).toEqual(expected);
    });
    fc.assert(run, { numRuns: 500 });
  });

  test('join: a wildcard over more topics than are looked at: all of them know it', () => {
    const stage = createHub(10_000);
    const topics = Array.from({ length: 1000 }, (_, index) => `many.${index}`);
    for (const name of topics) stage.publish(name);
    const reader = new Reader(new PatternSet(['many.*']));
    joinOrLeave(reader, stage);
    const expected = topics.map((name) => stage.publish(name));
    expect(reader.received).toEqual(expected);
  });

  test('move: equal patterns and types in any order: one group, and an event is encoded once', () => {
    const stage = createHub(10_000);
    const wish = (list: string[], names: string[]) => new PatternSet(list, new TypeFilter(names));
    const crowd = [
      new Reader(wish(['a', 'b'], ['t', 'u*'])),
      new Reader(wish(['b', 'a'], ['u*', 'u.x', 't', 't'])),
    ];
    for (const reader of crowd) joinOrLeave(reader, stage);
    expect(stage.hub.groupCount).toBe(1);
    const seen = new Set<ArrayBufferLike>();
    for (const { sink } of crowd) {
      const { write } = sink;
      sink.write = (bytes) => {
        seen.add(bytes.buffer);
        return write(bytes);
      };
    }
    stage.publish('a', 'v');
    const sequence = stage.publish('a', 'u.x');
    for (const reader of crowd) expect(reader.received).toEqual([sequence]);
    expect(seen.size).toBe(1);
  });
});
