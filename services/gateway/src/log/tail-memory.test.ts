import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { sseEncoder } from '../transports/sse/encoder.ts';
import { webSocketEncoder } from '../transports/websocket/encoder.ts';
import { type EventEncoder, EventEntry } from './event-entry.ts';
import { EventLog } from './event-log.ts';
import { Tail } from './tail.ts';

/* This file has a process of its own, so that nothing else changes its memory. */

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

function usedBytes(): number {
  collectGarbage();
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

interface Filling {
  readonly events: number;
  readonly topicOf: (index: number) => string;
  readonly jsonBytes?: number;
  /** The transports that encode each event. */
  readonly encoders?: readonly EventEncoder[];
  /** The type of each event, which somebody filters by. */
  readonly type?: string;
  readonly eventsMax?: number;
}

/** Each text is a copy of its own, as texts from the network are. */
function copy(text: string): string {
  return Buffer.from(text).toString();
}

function fill({ events, topicOf, jsonBytes = 10, encoders = [], type, eventsMax = 1e9 }: Filling) {
  const log = new EventLog({
    tail: { bytesMax: 1e12, eventsMax },
    onAppended: (entry) => {
      for (const encoder of encoders) entry.frame(encoder);
      if (type !== undefined) expect(entry.type).toBe(type);
    },
    onRestarted: () => {},
  });
  log.begin({ epoch: 'abcdefgh', firstSequence: 1, lastSequence: 0 });
  for (let index = 0; index < events; index++) {
    const json = type ? Buffer.from(JSON.stringify({ type })) : Buffer.alloc(jsonBytes, 'x');
    log.appendEvent({
      sequence: index + 1,
      topic: copy(topicOf(index)),
      timeMs: 1e12 + index,
      json,
    });
  }
  return log;
}

function longTopic(number: number): string {
  return Array.from({ length: 15 }, (_, at) => `${number}-${at}`.padEnd(11, 'x')).join('.');
}

const both = [webSocketEncoder, sseEncoder];

test.each<[string, Filling]>([
  ['small events of few topics', { events: 60_000, topicOf: (n) => `a.${n % 100}` }],
  [
    'frames of one transport',
    {
      events: 40_000,
      jsonBytes: 300,
      topicOf: (n) => `a.${n % 100}`,
      encoders: [webSocketEncoder],
    },
  ],
  [
    'frames of both transports',
    { events: 40_000, jsonBytes: 300, topicOf: (n) => `a.${n % 100}`, encoders: both },
  ],
  [
    'large events',
    { events: 5000, jsonBytes: 6000, topicOf: (n) => `a.${n % 100}`, encoders: both },
  ],
  ['short types', { events: 60_000, topicOf: (n) => `a.${n % 100}`, type: 'order.paid' }],
  ['long types', { events: 10_000, topicOf: (n) => `a.${n % 100}`, type: '\u6570'.repeat(500) }],
  ['a topic for each event', { events: 60_000, topicOf: (n) => `user.${n}.inbox` }],
  [
    'long topics, two at each fork',
    { events: 30_000, topicOf: (n) => `${longTopic(n >> 1)}.${n & 1}` },
  ],
  [
    'topics that come and go',
    { events: 200_000, topicOf: (n) => `user.${n}.inbox`, eventsMax: 60_000 },
  ],
  [
    'topics whose events come and go',
    { events: 400_000, topicOf: (n) => `user.${n % 20_000}.inbox`, eventsMax: 60_000 },
  ],
])('tail bytes: %s: within a fifth of the memory', (_, filling) => {
  fill({ ...filling, events: 1000 });
  const before = usedBytes();
  const { tail } = fill(filling);
  const used = usedBytes() - before;
  expect(tail.length).toBeGreaterThan(0);
  expect(used / tail.bytes).toBeGreaterThan(0.8);
  expect(used / tail.bytes).toBeLessThan(1.2);
});

test('tail bytes: frames that are encoded later: older events make room for them', () => {
  const json = Buffer.alloc(1000);
  const tail = new Tail(0, { bytesMax: 8000, eventsMax: 100 });
  const entries = [1, 2, 3, 4, 5, 6].map((sequence) => {
    return new EventEntry('e', { sequence, topic: 'a', timeMs: 0, json });
  });
  for (const entry of entries) tail.appendEntry(entry);
  for (const entry of entries) {
    entry.frame(webSocketEncoder);
    expect(tail.bytes).toBeLessThanOrEqual(8000);
  }
  expect(tail.length).toBe(3);
  expect(tail.floor).toBe(3);
});

test('tail bytes: a frame that is encoded later: counted, and given back with its event', () => {
  const log = fill({ events: 10, topicOf: () => 'a', eventsMax: 10 });
  const { tail } = log;
  const before = tail.bytes;
  const [first] = tail.between(0, 1);
  const frame = first?.frame(webSocketEncoder);
  expect(tail.bytes).toBeGreaterThanOrEqual(before + (frame?.length ?? 0));
  log.appendEvent({ sequence: 11, topic: 'a', timeMs: 1, json: Buffer.alloc(10) });
  expect(tail.bytes).toBe(before);
  // The group that still has the event may encode it for another transport.
  first?.frame(sseEncoder);
  expect(tail.bytes).toBe(before);
  tail.reset(99);
  expect(tail.bytes).toBe(0);
});
