import { describe, expect, test } from 'vitest';
import { leastMs } from '../../../../test/support/least-ms.ts';
import { createCore } from '../core.ts';
import type { Sink } from '../fan-out/sink.ts';
import { EventEntry } from '../log/event-entry.ts';
import { PatternSet } from '../log/pattern-set.ts';
import { Tail } from '../log/tail.ts';
import { systemClock } from '../scheduling/clock.ts';
import { webSocketEncoder } from '../transports/websocket/encoder.ts';
import { costlyWildcards } from './pattern-budget.ts';

/*
 * What patterns may cost that an attacker chose: 16 tokens each, different only at their end, with wildcards
 * in between. The bounds are ten times what it takes on a core of its own.
 */

const HEAD = Array.from({ length: 13 }, () => 'a').join('.');
const LIST_MAX = 100;
const CONNECTION_MAX = 1000;

const sink: Sink = {
  writable: true,
  unsentBytes: 0,
  takenBytes: 0,
  write: () => true,
  ping: () => {},
  close: () => {},
};

function patterns(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => `${HEAD}.*.x${from + index}.z`);
}

function fillTail(topics: number): Tail {
  const tail = new Tail(0, { bytesMax: 1e9, eventsMax: 1e6 });
  for (let sequence = 1; sequence <= topics; sequence++) {
    const topic = `${HEAD}.b.y${sequence}.z`;
    tail.appendEntry(new EventEntry('e', { sequence, topic, timeMs: 0, json: Buffer.from('{}') }));
  }
  return tail;
}

function createHub() {
  const unused = () => Promise.reject(new Error('Nothing is read here.'));
  const { hub } = createCore({
    stream: {
      connected: true,
      bounds: unused,
      boundsReaching: unused,
      readSlice: unused,
      readSlices: unused,
      sequenceBefore: unused,
    },
    archive: {
      bounds: unused,
      readPage: unused,
      findLast: unused,
      readEvents: unused,
      sequenceBefore: unused,
    },
    clock: systemClock,
    tail: { bytesMax: 1e6, eventsMax: 10 },
    coldReadsMax: 1,
    coldWaitMs: 1,
  });
  const connection = { sink, liveSequence: 0, delivered: 0, fallBehind: () => {} };
  return { hub, connection };
}

describe('cost of patterns', () => {
  test('tail: a step over 4,096 topics that 100 patterns nearly match: 5 ms, and ends by the clock', () => {
    const tail = fillTail(5000);
    const set = new PatternSet([...patterns(LIST_MAX - 1), `${'*.'.repeat(15)}q`]);
    const eventsMax = 512;
    const read = (isOver?: () => boolean) =>
      tail.readEntries(set, 0, { eventsMax, ...(isOver && { isOver }) });
    // Comparing each pattern took 280 ms.
    expect(leastMs(5, () => read())).toBeLessThan(40);
    let looks = 0;
    const { through } = read(() => ++looks === 3);
    expect(through).toBe(3 * 64);
  });

  test('hub: all the wildcards that a user may have: an event of another costs 150 µs at most', () => {
    const { hub, connection } = createHub();
    const masks = Array.from({ length: 1 << 15 }, (_, mask) => mask);
    const list: string[] = [];
    for (let left = 500, next = masks.shift(); next !== undefined; next = masks.shift()) {
      const mask = next;
      const tokens = Array.from({ length: 15 }, (_, at) => ((mask >> at) & 1 ? '*' : 'a'));
      const pattern = [...tokens, 'q'].join('.');
      const cost = costlyWildcards(pattern);
      // Patterns with up to three cost nothing, and there are 576 of them.
      if (cost > left) continue;
      left -= cost;
      list.push(pattern);
    }
    const at = { encoder: webSocketEncoder, sequence: 0, from: undefined };
    hub.moveTo(connection, new PatternSet(list), at);
    const topic = `${'a.'.repeat(15)}q`;
    const entry = new EventEntry('e', { sequence: 1, topic, timeMs: 0, json: Buffer.from('{}') });
    const deliver = () => {
      hub.deliverEvent(entry, new Tail(0, { bytesMax: 1, eventsMax: 1 }).appendEntry(entry));
    };
    // 8,000 wildcards took 1.7 ms.
    expect(leastMs(50, deliver)).toBeLessThan(1);
  });

  test('churn: a pattern more beside 1,000, and one less: 0.3 ms each', () => {
    const { hub, connection } = createHub();
    const all = new PatternSet(patterns(CONNECTION_MAX));
    const at = { encoder: webSocketEncoder, sequence: 0 };
    let group = hub.moveTo(connection, all, { ...at, from: undefined });
    const changed = leastMs(10, () => {
      const more = PatternSet.union([all, new PatternSet(['one.more'])]);
      group = hub.moveTo(connection, more, { ...at, from: group });
      group = hub.moveTo(connection, all, { ...at, from: group });
    });
    // Leaving one group and joining another took 14 ms.
    expect(changed).toBeLessThan(6);
    expect(hub.groupCount).toBe(1);
  });

  test('churn: 100 patterns compared with 1,000 others of the connection: 0.6 ms', () => {
    const others = Array.from({ length: 10 }, (_, index) => {
      return new PatternSet(patterns(LIST_MAX, (index + 1) * LIST_MAX));
    });
    const compare = () => {
      const set = new PatternSet(patterns(LIST_MAX));
      for (const other of others) expect(other.overlaps(set)).toBe(false);
    };
    // Comparing each with each took 50 ms.
    expect(leastMs(5, compare)).toBeLessThan(6);
  });
});
