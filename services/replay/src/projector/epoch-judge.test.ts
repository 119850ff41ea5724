import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogRecord } from '@tidemark/nats';
import type { Lineage, LogBounds } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Archive } from '../archive/archive.ts';
import { toIndexed } from '../sqlite/writer.ts';
import { judgeEpoch } from './epoch-judge.ts';

const logger = createLogger('test', 'silent');

let folder: string;
let archive: Archive;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-judge-'));
  archive = new Archive(join(folder, 'archive.db'), logger);
});

afterEach(() => {
  archive.close();
  rmSync(folder, { recursive: true });
});

/** A message at a sequence; those with the same number are the same. 0 is no event. */
type Messages = readonly number[];

function fill(messages: Messages, lineage: Lineage = { epoch: 'log' }): void {
  archive.begin(lineage, 1);
  const events = messages.flatMap((number, index) =>
    number === 0 ? [] : [{ ...toEvent(number, index + 1), type: 't', source: '/s', topic: 'a' }],
  );
  archive.appendEvents(events, [], messages.length);
}

function toEvent(number: number, sequence: number) {
  const attributes = {
    specversion: '1.0',
    id: String(number),
    source: '/s',
    type: 't',
    topic: 'a',
  };
  return { sequence, timeMs: number * 10, json: JSON.stringify(attributes) };
}

/** A stream with these messages, from a first sequence on. */
function streamOf(
  messages: Messages,
  { first = 1, lineage = { epoch: 'log' } as Lineage, erased = [] as number[] } = {},
) {
  const bounds: LogBounds = { ...lineage, firstSequence: first, lastSequence: messages.length };
  let requests = 0;
  const written: Lineage[] = [];
  const judge = () =>
    judgeEpoch(
      archive,
      bounds,
      {
        async readRecord(sequence): Promise<LogRecord | undefined> {
          requests++;
          if (sequence < first || sequence > messages.length) return undefined;
          if (erased.includes(sequence)) return undefined;
          const number = messages[sequence - 1] ?? 0;
          const { json, timeMs } = toEvent(number, sequence);
          const payload = Buffer.from(number === 0 ? 'no event' : json);
          const subject = 'tidemark.events.a';
          return {
            sequence,
            timeMs,
            subject,
            topic: 'a',
            payload,
            headers: new Map(),
            trust: 'none',
          };
        },
        reachesBeyond: async (sequence) => sequence < messages.length,
        async writeLineage(next) {
          written.push(next);
          return { ...bounds, ...next };
        },
      },
      logger,
    );
  return { judge, bounds, written, requests: () => requests };
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(to - from + 1, 0) }, (_, index) => from + index);
}

describe('log that is whole', () => {
  test('stream that goes on after the archive: the same epoch, one request', async () => {
    fill(range(1, 50));
    const { judge, bounds, requests } = streamOf(range(1, 80));
    expect(await judge()).toBe(bounds);
    expect(requests()).toBe(1);
  });

  test('stream that begins after the archive: cannot be compared, and the epoch stays', async () => {
    fill(range(1, 50));
    const { judge, bounds, requests } = streamOf(range(1, 90), { first: 70 });
    expect(await judge()).toBe(bounds);
    expect(requests()).toBe(0);
  });

  test('metadata of an older backup, nothing lost: the epoch that the archive knows is restored', async () => {
    const lineage = { epoch: 'log.a', earlier: [{ epoch: 'log', through: 10 }] };
    fill(range(1, 50), lineage);
    const { judge, written } = streamOf(range(1, 60));
    expect(await judge()).toMatchObject(lineage);
    expect(written).toMatchObject([lineage]);
  });

  test('another log, or an epoch that the stream has left: left to the alignment', async () => {
    fill(range(1, 5));
    const other = streamOf(range(7, 9), { lineage: { epoch: 'other' } });
    expect(await other.judge()).toBe(other.bounds);
    const lineage = { epoch: 'log.a', earlier: [{ epoch: 'log', through: 3 }] };
    const later = streamOf(range(1, 3), { lineage });
    expect(await later.judge()).toBe(later.bounds);
  });
});

describe('events that are gone by intention', () => {
  test('erased from the stream, and the archive has yet to learn that: the same epoch', async () => {
    fill(range(1, 50));
    const { judge, bounds } = streamOf(range(1, 60), { erased: [47, 48, 49, 50] });
    expect(await judge()).toBe(bounds);
  });

  test('erased from the stream, and the log lost its end too: the loss is found', async () => {
    fill(range(1, 50));
    const messages = [...range(1, 30), ...range(1001, 1040)];
    const { judge, written } = streamOf(messages, { erased: [49, 50] });
    await judge();
    expect(written).toMatchObject([{ earlier: [{ epoch: 'log', through: 30 }] }]);
  });

  test('removed from the archive, and still in the stream: the same epoch', async () => {
    fill(range(1, 50));
    const sequence = 51;
    const json = JSON.stringify({ topic: 'tidemark.erasures', type: 'tidemark.erasure' });
    const names = { topic: 'tidemark.erasures', type: 'tidemark.erasure', source: '/s' };
    const erasure = { sequences: [49, 50] };
    archive.appendEvents([{ sequence, timeMs: 510, json, ...names, erasure }], [], sequence);
    const known = archive.erasures.firstIn('archive');
    if (known) archive.eraseStep(known);
    // The archive ends with its record, and then with what it has removed.
    archive.truncateAfter(50);
    archive.erasures.add(52, erasure);
    const { judge, bounds } = streamOf(range(1, 60));
    expect(await judge()).toBe(bounds);
  });

  test('an event that expires, which the archive has removed at its end: the same epoch', async () => {
    archive.begin({ epoch: 'log' }, 1);
    const expires = '2001-01-01T00:00:00Z';
    const parts = { specversion: '1.0', id: '1', source: '/s', type: 't', topic: 'a', expires };
    const json = JSON.stringify(parts);
    const event = toIndexed({ sequence: 1, timeMs: 10, json });
    archive.appendEvents([event], [], 1);
    expect(archive.removeExpired()).toBe(1);
    const payload = Buffer.from(json);
    const names = { subject: 'tidemark.events.a', topic: 'a', headers: new Map() };
    const record: LogRecord = { sequence: 1, timeMs: 10, payload, ...names, trust: 'none' };
    const bounds = { epoch: 'log', firstSequence: 1, lastSequence: 1 };
    const stream = {
      readRecord: async () => record,
      reachesBeyond: async () => false,
      writeLineage: () => Promise.reject(new Error('Nothing was lost.')),
    };
    expect(await judgeEpoch(archive, bounds, stream, logger)).toBe(bounds);
  });
});

describe('log that lost its end', () => {
  test.each(
    range(0, 40).map((shared) => ({
      shared,
      // Grown past the archive, up to it, and not at all; with messages that are no events.
      grown: [0, 3, 60][shared % 3] ?? 0,
      first: shared % 4 === 0 ? Math.min(shared + 1, 5) : 1,
      holes: shared % 5 === 0,
    })),
  )('%j: a new epoch, which shares what is the same', async ({ shared, grown, first, holes }) => {
    const before = range(1, 41).map((number) => (holes && number % 3 === 0 ? 0 : number));
    const after = [...before.slice(0, shared), ...range(1001, 1000 + grown)];
    fill(before);
    const { judge, written } = streamOf(after, { first });
    await judge();
    const [lineage] = written;
    expect(written).toHaveLength(1);
    const through = lineage?.earlier?.[0]?.through ?? -1;
    // Messages that are no events count as in common, where both have such.
    const isEvent = (number: number, index: number): boolean => index >= shared && number !== 0;
    const ends = [before, after].map((messages) => messages.findIndex(isEvent));
    expect(through).toBeGreaterThanOrEqual(shared);
    expect(through).toBeLessThanOrEqual(Math.min(...ends.filter((end) => end >= 0), after.length));
    if (!holes) expect(through).toBe(shared);
  });

  test.each([[1], [2]])(
    'only %i messages that are no events: events in their place are told',
    async (count) => {
      const before = [...range(1, 9), ...Array<number>(count).fill(0)];
      const after = [...range(1, 9), 1001, ...Array<number>(count - 1).fill(0), 1002];
      fill(before);
      const { judge, written } = streamOf(after);
      await judge();
      expect(written[0]?.earlier).toEqual([{ epoch: 'log', through: 9 }]);
    },
  );

  test('search: as many requests as halvings', async () => {
    fill(range(1, 1000));
    const { judge, written, requests } = streamOf([...range(1, 700), ...range(5001, 5400)]);
    await judge();
    expect(written[0]?.earlier).toEqual([{ epoch: 'log', through: 700 }]);
    expect(requests()).toBeLessThanOrEqual(12);
  });

  test("backup from before the archive's epoch: the new epoch follows that of the archive", async () => {
    fill(range(1, 50), { epoch: 'log.a', earlier: [{ epoch: 'log', through: 10 }] });
    const { judge, written } = streamOf(range(1, 30));
    await judge();
    const earlier = [
      { epoch: 'log', through: 10 },
      { epoch: 'log.a', through: 30 },
    ];
    expect(written).toMatchObject([{ epoch: expect.stringMatching(/^log\./), earlier }]);
  });

  test.each([
    { shared: 10, last: 60, why: 'judged by an archive that began later' },
    { shared: 10, last: 12, why: 'and lost its end again' },
  ])('epoch that was $why: a further epoch tells the loss', async ({ shared, last }) => {
    fill(range(1, 50));
    const lineage = { epoch: 'log.a', earlier: [{ epoch: 'log', through: 27 }] };
    const { judge, written } = streamOf([...range(1, shared), ...range(1001, 990 + last)], {
      lineage,
    });
    await judge();
    const earlier = [
      { epoch: 'log', through: shared },
      { epoch: 'log.a', through: shared },
    ];
    expect(written).toMatchObject([{ epoch: expect.stringMatching(/^log\./), earlier }]);
  });

  test('server that lacks what it said it has: nothing is decided', async () => {
    fill(range(1, 50));
    const { bounds } = streamOf(range(1, 60));
    const stream = {
      readRecord: async () => undefined,
      reachesBeyond: async () => false,
      writeLineage: async () => bounds,
    };
    await expect(judgeEpoch(archive, bounds, stream, logger)).rejects.toThrow('within its bounds');
  });
});
