import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogRecord } from '@tidemark/nats';
import { ERASURES_TOPIC, type LogBounds } from '@tidemark/protocol';
import { createLogger } from '@tidemark/telemetry';
import Database from 'better-sqlite3';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Archive } from '../archive/archive.ts';
import { type IndexedEvent, toIndexed } from '../sqlite/writer.ts';
import { type OpenFeed, Rebuild, rebuildPath } from './rebuild.ts';

const logger = createLogger('test', 'silent');

let folder: string;
let archive: Archive;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-rebuild-'));
  archive = new Archive(join(folder, 'archive.db'), logger);
  archive.begin({ epoch: 'e' }, 1);
});
afterEach(() => {
  archive.close();
  rmSync(folder, { recursive: true });
});

/** What the log has at a sequence. */
type Slot = 'event' | 'invalid' | 'missing' | 'erasure';

function textOf(sequence: number, slot: Slot, topic: string): string {
  const common = { specversion: '1.0', id: `${sequence}`, source: '/s', publisher: 'p' };
  if (slot === 'invalid') return '{';
  if (slot === 'event') return JSON.stringify({ ...common, type: `t.${sequence % 3}`, topic });
  const type = 'tidemark.erasure';
  const data = { sequences: [Math.max(1, sequence - 3)], reason: 'r' };
  return JSON.stringify({ ...common, type, topic: ERASURES_TOPIC, data });
}

function store(slots: readonly { readonly slot: Slot; readonly topic: string }[]): string[] {
  const texts: string[] = [];
  const start = archive.bounds?.lastSequence ?? 0;
  for (const [index, { slot, topic }] of slots.entries()) {
    const sequence = start + index + 1;
    const json = textOf(sequence, slot, topic);
    texts.push(json);
    const hasEvent = slot === 'event' || slot === 'erasure';
    const events: IndexedEvent[] = hasEvent
      ? [toIndexed({ sequence, timeMs: sequence, json })]
      : [];
    const missing = slot === 'missing' ? [{ from: sequence, to: sequence }] : [];
    archive.appendEvents(events, missing, sequence);
  }
  return texts;
}

/**
 * A stream that holds the events from a sequence on, and can give more of them while it is read. Its messages arrive in
 * bursts, also while the rebuild rests.
 */
function feedOf(texts: readonly string[], first: number, meanwhile = () => {}): OpenFeed {
  return ({ scheduler, onStart, onOpen, onRecord }) => {
    const bounds: LogBounds = { epoch: 'e', firstSequence: first, lastSequence: texts.length };
    let stopped = false;
    const read = async () => {
      let next = (await onStart(bounds)) + 1;
      onOpen(texts.length + 1 - next);
      let arrived = 0;
      const backlog = {
        run() {
          if (!stopped) meanwhile();
          for (; arrived > 0 && next <= texts.length; arrived--, next++) {
            onRecord(recordOf(next, texts[next - 1] ?? ''));
          }
          return false;
        },
      };
      while (next <= texts.length && !stopped) {
        arrived += 7;
        scheduler.schedule(backlog);
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    return {
      start: () => void read().catch(() => undefined),
      stop: () => {
        stopped = true;
      },
      restart: () => void read().catch(() => undefined),
    };
  };
}

function recordOf(sequence: number, text: string): LogRecord {
  const isEvent = text !== textOf(sequence, 'invalid', '');
  return {
    ...{ sequence, timeMs: sequence, topic: isEvent ? JSON.parse(text).topic : 'a' },
    ...{ payload: Buffer.from(text), headers: { get: () => '' } },
    trust: isEvent ? 'sealed' : 'none',
  } as unknown as LogRecord;
}

/** The number of the file under an archive's name. */
function fileOf({ path }: Archive): number {
  return statSync(path).ino;
}

function contents() {
  const events: unknown[] = [];
  const { lastSequence = 0 } = archive.bounds ?? {};
  for (let left = { after: 0, through: lastSequence }; left.after < left.through; ) {
    const step = { ...left, order: 'asc', eventsMax: 1000, bytesMax: 1e6 } as const;
    const page = archive.select({ patterns: ['>'] }).readPage(step);
    events.push(...page.events);
    left = page.remaining;
  }
  const topics = archive.topics
    .listEntries({ from: '', below: '~', after: '', limit: 1000 })
    .map(({ id: _, ...entry }) => entry);
  const erasures = [...Array(lastSequence)].map((_, index) => archive.erasures.find(index + 1));
  const missing = archive.missingRanges({ after: 0, through: lastSequence });
  const notice = archive.erasures.nextNotice();
  const { id, bounds } = archive;
  return { events, topics, erasures, missing, notice, id, bounds };
}

function eraseAll(): void {
  for (let next = archive.erasures.firstIn('archive'); next; ) {
    archive.eraseStep(next);
    next = archive.erasures.firstIn('archive');
  }
}

function create(openFeed: OpenFeed, signal = new AbortController().signal): Rebuild {
  return new Rebuild({ archive, openFeed, logger, signal });
}

const slots = fc.array(
  fc.record({
    slot: fc.constantFrom<Slot>('event', 'event', 'event', 'invalid', 'missing', 'erasure'),
    topic: fc.constantFrom('a', 'b', 'c.d'),
  }),
  { minLength: 1, maxLength: 400 },
);

test('any log, a part of it in the stream: the new archive has what the old one had', async () => {
  await fc.assert(
    fc
      .asyncProperty(slots, fc.nat(450), async (log, first) => {
        const texts = store(log);
        eraseAll();
        // The stream has everything that it holds, also what the archive has missed.
        const missedFrom = log.findLastIndex(({ slot }) => slot === 'missing') + 2;
        const held = Math.max(missedFrom, Math.min(first, texts.length) + 1);
        const before = contents();
        const old = fileOf(archive);
        await create(feedOf(texts, held)).run();
        expect(fileOf(archive)).not.toBe(old);
        expect(contents()).toEqual(before);
      })
      .beforeEach(() => {
        archive.close();
        rmSync(archive.path);
        archive = new Archive(archive.path, logger);
        archive.begin({ epoch: 'e' }, 1);
      }),
    { numRuns: 40 },
  );
}, 60_000);

test('missing events that the stream holds: are there again', async () => {
  const texts = store([
    { slot: 'event', topic: 'a' },
    { slot: 'missing', topic: 'a' },
    ...Array.from({ length: 300 }, () => ({ slot: 'event', topic: 'a' }) as const),
  ]);
  texts[1] = textOf(2, 'event', 'a');
  await create(feedOf(texts, 2)).run();
  expect(contents().missing).toEqual([]);
  expect(archive.findEvent(2)?.json).toBe(texts[1]);
});

test('the archive grows meanwhile: it ends where it ended', async () => {
  const event = { slot: 'event', topic: 'a' } as const;
  const texts = store(Array.from({ length: 1000 }, () => event));
  let grown = 0;
  const feed = feedOf(texts, 400, () => {
    if (grown++ < 50) texts.push(...store([event, event, event]));
  });
  await create(feed).run();
  expect(archive.bounds?.lastSequence).toBe(texts.length);
  expect(contents().events).toHaveLength(texts.length);
});

test('retention is always faster: the rest is copied', async () => {
  const event = { slot: 'event', topic: 'a' } as const;
  const texts = store(Array.from({ length: 2000 }, () => event));
  let first = 1;
  let starts = 0;
  const openFeed: OpenFeed = ({ scheduler, onStart, onOpen, onRecord }) => {
    const read = async () => {
      starts++;
      const after = await onStart({ epoch: 'e', firstSequence: first, lastSequence: texts.length });
      // Meanwhile half of what was left has gone.
      first = Math.floor((first + texts.length) / 2);
      let next = Math.max(after + 1, first);
      onOpen(texts.length + 1 - next);
      const run = () => {
        for (; next <= texts.length; next++) onRecord(recordOf(next, texts[next - 1] ?? ''));
        return false;
      };
      scheduler.schedule({ run });
    };
    return { start: () => void read(), stop: () => {}, restart: () => void read() };
  };
  await create(openFeed).run();
  expect(starts).toBeGreaterThan(2);
  expect(contents().events).toHaveLength(2000);
});

test('content that cannot be read: is missing, so that another archive can give it', async () => {
  store(Array.from({ length: 10 }, () => ({ slot: 'event', topic: 'a' }) as const));
  archive.appendEvents(
    [{ ...toIndexed({ sequence: 11, timeMs: 1, json: textOf(11, 'event', 'a') }), json: '{"' }],
    [],
    11,
  );
  const rebuild = create(feedOf([], 12));
  await rebuild.run();
  expect(rebuild.unreadable).toBe(1);
  expect(contents()).toMatchObject({ missing: [{ from: 11, to: 11 }] });
});

test('a row whose topic is gone, and an erasure whose record is gone: neither is forgotten', async () => {
  store([
    ...Array.from({ length: 10 }, () => ({ slot: 'event', topic: 'a' }) as const),
    { slot: 'event', topic: 'b' },
    { slot: 'erasure', topic: '' },
    { slot: 'event', topic: 'a' },
  ]);
  eraseAll();
  expect(archive.isErased({ sequence: 9, topic: 'a' })).toBe(true);
  archive.close();
  const database = new Database(archive.path);
  database.exec("DELETE FROM events WHERE sequence = 12; DELETE FROM topics WHERE name = 'b'");
  database.close();
  archive = new Archive(archive.path, logger);
  const rebuild = create(feedOf([], 14));
  await rebuild.run();
  expect(rebuild.unreadable).toBe(1);
  expect(contents().missing).toEqual([{ from: 11, to: 11 }]);
  expect(archive.isErased({ sequence: 9, topic: 'a' })).toBe(true);
});

test('a backup has the archive open: the exchange waits for it, and the copy is sound', async () => {
  const event = { slot: 'event', topic: 'a' } as const;
  const texts = store(Array.from({ length: 500 }, () => event));
  const old = fileOf(archive);
  const backup = new Database(archive.path, { readonly: true });
  expect(backup.prepare('SELECT count(*) FROM events').pluck().get()).toBe(500);
  const rebuilt = create(feedOf(texts, 100)).run();
  await new Promise((resolve) => setTimeout(resolve, 800));
  expect(fileOf(archive)).toBe(old);
  texts.push(...store([event]));
  expect(backup.prepare('SELECT count(*) FROM events').pluck().get()).toBe(501);
  backup.close();
  await rebuilt;
  expect(fileOf(archive)).not.toBe(old);
  expect(contents().events).toHaveLength(501);
});

test('cancelled, or the log has changed: the archive goes on as it was', async () => {
  const texts = store(Array.from({ length: 1000 }, () => ({ slot: 'event', topic: 'a' }) as const));
  const before = contents();
  const old = fileOf(archive);
  const cancelling = new AbortController();
  const cancelled = create(
    feedOf(texts, 400, () => cancelling.abort(new Error('Enough.'))),
    cancelling.signal,
  );
  await expect(cancelled.run()).rejects.toThrow('Enough.');
  const changed = create(feedOf(texts, 400, () => archive.enterEpoch({ epoch: 'e.2' })));
  await expect(changed.run()).rejects.toThrow('The log has changed meanwhile.');
  expect(fileOf(archive)).toBe(old);
  expect(contents().events).toEqual(before.events);
  expect(existsSync(rebuildPath(archive.path))).toBe(false);
});
