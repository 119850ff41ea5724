import { createLogger } from '@tidemark/telemetry';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { isEmpty, type LogRange } from '../sqlite/log-range.ts';
import { Archive } from './archive.ts';

/* An attacker's list: 100 patterns of 16 tokens that tell topics apart only at their end. */

const HEAD = Array.from({ length: 13 }, () => 'a').join('.');
const EVENTS = 20_000;
const MATCHING = 50;

let archive: Archive;

beforeEach(() => {
  archive = new Archive(':memory:', createLogger('test', 'silent'));
  archive.begin({ epoch: 'e' }, 1);
  const events = Array.from({ length: EVENTS }, (_, index) => {
    const topic = `${HEAD}.b.y${index}.z`;
    return { sequence: index + 1, timeMs: 1, topic, type: 't', source: '/s', json: '{}' };
  });
  archive.appendEvents(events, [], EVENTS);
});

afterEach(() => {
  vi.restoreAllMocks();
  archive.close();
});

function patterns(count: number): string[] {
  return Array.from(
    { length: count },
    (_, index) => `${HEAD}.*.${index < MATCHING ? 'y' : 'x'}${index}.z`,
  );
}

/** The processor time that work takes, in ms. The wall clock also has what others do on the machine. */
function stepMs(work: () => void): number {
  const start = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

/** Reads to the end in small pages, each from a selection of its own, as a gateway does. */
function readAll(list: readonly string[]) {
  const found: number[] = [];
  const durationsMs: number[] = [];
  for (let left: LogRange = { after: 0, through: EVENTS }; !isEmpty(left); ) {
    const request = { ...left, order: 'asc', eventsMax: 7, bytesMax: 1e6 } as const;
    const took = stepMs(() => {
      const page = archive.select({ patterns: list }, left.after + 1).readPage(request);
      found.push(...page.events.map(({ sequence }) => sequence));
      left = page.remaining;
    });
    durationsMs.push(took);
  }
  return { found, durationsMs: durationsMs.sort((one, other) => one - other) };
}

describe('cost of patterns', () => {
  test('history: 100 patterns of 16 tokens: steps of some milliseconds', () => {
    const { found, durationsMs } = readAll(patterns(100));
    expect(found).toEqual(Array.from({ length: MATCHING }, (_, index) => index + 1));
    // 12 ms and 5 ms with a core of its own; comparing each pattern took 540 ms and 220 ms.
    expect(durationsMs.at(-1)).toBeLessThan(150);
    expect(durationsMs[Math.floor(durationsMs.length / 2)]).toBeLessThan(50);
  });

  test('history: the pages of one catch-up: names are looked up once', () => {
    const listEntries = vi.spyOn(archive.topics, 'listEntries');
    readAll(patterns(100));
    const once = listEntries.mock.calls.length;
    readAll(patterns(100));
    expect(listEntries).toHaveBeenCalledTimes(once);
    const next = {
      sequence: EVENTS + 1,
      timeMs: 1,
      topic: `${HEAD}.c.y1.z`,
      type: 't',
      source: '/s',
    };
    archive.appendEvents([{ ...next, json: '{}' }], [], EVENTS + 1);
    // What is newer than the selection needs another one.
    const request = {
      after: EVENTS,
      through: EVENTS + 1,
      order: 'asc',
      eventsMax: 7,
      bytesMax: 1e6,
    } as const;
    const { events } = archive.select({ patterns: patterns(100) }, EVENTS + 1).readPage(request);
    expect(events).toMatchObject([{ sequence: EVENTS + 1 }]);
  });

  test('history: a merge of two pages with another reader in between: each event once', () => {
    vi.spyOn(performance, 'now').mockReturnValue(0);
    const list = [`${HEAD}.b.y1.z`, `${HEAD}.b.y3.z`, `${HEAD}.b.y5.z`];
    const page = (after: number, eventsMax: number) => {
      const request = { after, through: EVENTS, order: 'asc', eventsMax, bytesMax: 1e6 } as const;
      const { events, remaining } = archive.select({ patterns: list }, after + 1).readPage(request);
      return { found: events.map(({ sequence }) => sequence), after: remaining.after };
    };
    const first = page(0, 2);
    expect(first.found).toEqual([2, 4]);
    expect(page(0, 9).found).toEqual([2, 4, 6]);
    expect(page(first.after, 9).found).toEqual([6]);
  });
});
