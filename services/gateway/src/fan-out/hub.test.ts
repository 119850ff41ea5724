import { matches } from '@tidemark/protocol';
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
    publish(topic: string): number {
      const sequence = tail.head + 1;
      const event = { sequence, topic, timeMs: 0, json: Buffer.from('{}') };
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

  constructor(patterns: readonly string[]) {
    this.patterns = new PatternSet(patterns);
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
const readers = fc.array(fc.array(pattern, { minLength: 1, maxLength: 3 }), {
  minLength: 1,
  maxLength: 5,
});
const event = fc.record({ publish: topic });
const turn = fc.record({ joinOrLeave: fc.nat({ max: 4 }) });
const change = fc.record({ repattern: fc.nat({ max: 4 }), patterns: readers });
const steps = fc.array(fc.oneof(event, turn, change), { maxLength: 60 });

type Stage = ReturnType<typeof createHub>;

function publishTo(crowd: readonly Reader[], stage: Stage, name: string): void {
  const sequence = stage.publish(name);
  for (const reader of crowd) {
    const wants = reader.patterns.list.some((each) => matches(each, name));
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
function repattern(reader: Reader, patterns: readonly string[], { hub, tail }: Stage): void {
  if (!reader.group) return;
  reader.patterns = new PatternSet(patterns);
  const at = { encoder: webSocketEncoder, sequence: tail.head, from: reader.group };
  reader.group = hub.moveTo(reader, reader.patterns, at);
}

describe('hub', () => {
  test('offer: readers join, change and leave between events: each gets what its patterns match, once', () => {
    // A small tail drops topics, and with them their cached subscribers.
    const run = fc.property(readers, steps, fc.constantFrom(3, 1000), (all, script, eventsMax) => {
      const stage = createHub(eventsMax);
      const crowd = all.map((patterns) => new Reader(patterns));
      for (const step of script) {
        if ('publish' in step) publishTo(crowd, stage, step.publish);
        else if ('joinOrLeave' in step) {
          joinOrLeave(crowd[step.joinOrLeave % crowd.length] as Reader, stage);
        } else {
          repattern(crowd[step.repattern % crowd.length] as Reader, step.patterns.flat(), stage);
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
    const reader = new Reader(['many.*']);
    joinOrLeave(reader, stage);
    const expected = topics.map((name) => stage.publish(name));
    expect(reader.received).toEqual(expected);
  });
});
