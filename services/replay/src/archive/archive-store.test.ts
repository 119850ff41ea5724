import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { createLogger } from '@tidemark/telemetry';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { STEP_EVENTS_MAX } from '../sqlite/removal.ts';
import { ArchiveStore } from './archive-store.ts';

const logger = createLogger('test', 'silent');

/** Archives that earlier versions have written. */
const FIXTURES = join(import.meta.dirname, 'fixtures');

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-archive-'));
  path = join(folder, 'archive.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

function event(sequence: number) {
  const json = `{"id":"${sequence}"}`;
  return { sequence, timeMs: sequence, topic: 'a', type: 't', source: '/s', json };
}

/** Opens the archive, lets the work happen, and closes it. */
async function withStore(work: (store: ArchiveStore) => unknown): Promise<void> {
  const store = new ArchiveStore(path, logger);
  try {
    await work(store);
  } finally {
    await store.close();
  }
}

describe('archive store: the archive in line with the stream', () => {
  test('archive store: new archive: begins where the stream begins and notes what was before', async () => {
    await withStore(async (store) => {
      expect(await store.alignWith({ epoch: 'e1', firstSequence: 6, lastSequence: 9 })).toBe(5);
      expect(store.archive.missingRanges({ after: 0, through: 9 })).toEqual([{ from: 1, to: 5 }]);
    });
  });

  test('archive store: same stream after a restart: goes on after the last sequence', async () => {
    await withStore(async (store) => {
      await store.alignWith({ epoch: 'e1', firstSequence: 1, lastSequence: 0 });
      store.archive.appendEvents([event(1), event(2)], [], 2);
    });
    await withStore(async (store) => {
      expect(await store.alignWith({ epoch: 'e1', firstSequence: 1, lastSequence: 5 })).toBe(2);
      expect(store.archive.missingRanges({ after: 0, through: 9 })).toEqual([]);
    });
  });

  test('archive store: stream dropped events unseen: the range is noted and reading goes on behind', async () => {
    await withStore(async (store) => {
      await store.alignWith({ epoch: 'e1', firstSequence: 1, lastSequence: 2 });
      store.archive.appendEvents([event(1), event(2)], [], 2);
      expect(await store.alignWith({ epoch: 'e1', firstSequence: 8, lastSequence: 9 })).toBe(7);
      expect(store.archive.missingRanges({ after: 0, through: 9 })).toEqual([{ from: 3, to: 7 }]);
      expect(store.archive.findEvent(2)?.json).toBe('{"id":"2"}');
    });
  });

  test('archive store: later epoch of the same log: what it does not share is removed', async () => {
    const next = { epoch: 'e1.a', earlier: [{ epoch: 'e1', through: 1 }] };
    await withStore(async (store) => {
      await store.alignWith({ epoch: 'e1', firstSequence: 1, lastSequence: 3 });
      store.archive.appendEvents([event(1), event(2), event(3)], [], 3);
      expect(await store.alignWith({ ...next, firstSequence: 1, lastSequence: 4 })).toBe(1);
      expect(store.archive.findEvent(2)).toBeUndefined();
      expect(store.archive.findEvent(1)).toBeDefined();
    });
    await withStore((store) => {
      expect(store.archive.bounds).toEqual({ ...next, firstSequence: 1, lastSequence: 1 });
    });
  });

  test('archive store: another stream: the old file is kept and a new one begins', async () => {
    await withStore(async (store) => {
      await store.alignWith({ epoch: 'old', firstSequence: 1, lastSequence: 1 });
      store.archive.appendEvents([event(1)], [], 1);
      expect(await store.alignWith({ epoch: 'new', firstSequence: 1, lastSequence: 0 })).toBe(0);
      expect(store.archive.bounds?.epoch).toBe('new');
      expect(store.archive.findEvent(1)).toBeUndefined();
    });
    const kept = new Database(join(folder, 'archive.old.db'), { readonly: true });
    expect(kept.prepare('SELECT count(*) FROM events').pluck().get()).toBe(1);
    kept.close();
  });
});

describe('archive store: events to be removed', () => {
  const EVENTS = 10 * STEP_EVENTS_MAX;
  const aligned = { epoch: 'e1', firstSequence: 1, lastSequence: EVENTS };
  const earlier = [{ epoch: 'e1', through: 3 }];
  const cut = { ...aligned, epoch: 'e1.a', earlier, lastSequence: 3 };

  async function fill(store: ArchiveStore): Promise<void> {
    await store.alignWith(aligned);
    const events = Array.from({ length: EVENTS }, (_, index) => event(index + 1));
    store.archive.appendEvents(events, [], EVENTS);
  }

  test('archive store: many: the loop has a turn after each step, and nothing of them is served', async () => {
    await withStore(async (store) => {
      await fill(store);
      let turns = 0;
      let done = false;
      const aligning = store.alignWith(cut).then(() => {
        done = true;
      });
      expect(store.snapshot().bounds.lastSequence).toBe(3);
      for (; !done; turns++) {
        expect(store.archive.findEvent(4)).toBeUndefined();
        await new Promise((resolve) => setImmediate(resolve));
      }
      await aligning;
      expect(turns).toBeGreaterThanOrEqual(9);
      expect(store.archive.truncating).toBe(false);
    });
    const database = new Database(path, { readonly: true });
    expect(database.prepare('SELECT count(*) FROM events').pluck().get()).toBe(3);
    database.close();
  });

  test('archive store: the file is locked meanwhile: refused, and completed by the next start', async () => {
    await withStore(async (store) => {
      await fill(store);
      const aligning = store.alignWith(cut);
      const other = new Database(path);
      other.exec('BEGIN IMMEDIATE');
      await expect(aligning).rejects.toThrow('locked');
      expect(store.archive.truncating).toBe(true);
      expect(store.snapshot().bounds.lastSequence).toBe(3);
      other.exec('ROLLBACK');
      other.close();
      // The stream has grown again since.
      expect(await store.alignWith({ ...cut, lastSequence: 5 })).toBe(3);
      store.archive.appendEvents([event(4)], [], 4);
      expect(store.archive.topics.findEntry('a')).toMatchObject({ count: 4, lastSequence: 4 });
    });
  });
});

describe('archive store: files', () => {
  test('file: killed without closing: opens with all that was committed', async () => {
    const killed = new ArchiveStore(path, logger);
    await killed.alignWith({ epoch: 'e1', firstSequence: 1, lastSequence: 1 });
    killed.archive.appendEvents([event(1)], [], 1);
    expect(existsSync(`${path}-wal`)).toBe(true);
    await withStore((store) => expect(store.archive.findEvent(1)?.topic).toBe('a'));
    killed.close();
  });

  test('file: only the .db was deleted: its old write-ahead log is not played back', async () => {
    const killed = new ArchiveStore(path, logger);
    await killed.alignWith({ epoch: 'e1', firstSequence: 1, lastSequence: 1 });
    rmSync(path);
    await withStore((store) => expect(store.archive.bounds).toBeUndefined());
    killed.close();
  });

  test('file: of the schema version before: upgraded, with all that it holds', async () => {
    writeFileSync(path, gunzipSync(readFileSync(join(FIXTURES, 'schema-1.db.gz'))));
    await withStore(async (store) => {
      const { archive } = store;
      expect(archive.bounds).toEqual({ epoch: 'm4x1k2', firstSequence: 3, lastSequence: 7 });
      const found = [3, 4, 5, 6, 7].map((sequence) => archive.findEvent(sequence)?.json);
      expect(found).toEqual(['{"id":"3"}', '{"id":"4"}', undefined, '{"id":"6"}', undefined]);
      const missing = [
        { from: 1, to: 2 },
        { from: 5, to: 5 },
      ];
      expect(archive.missingRanges({ after: 0, through: 9 })).toEqual(missing);
      expect(await store.alignWith({ epoch: 'm4x1k2', firstSequence: 1, lastSequence: 9 })).toBe(7);
      archive.appendEvents([event(8)], [], 8);
      const next = { epoch: 'm4x1k2.a', earlier: [{ epoch: 'm4x1k2', through: 8 }] };
      expect(await store.alignWith({ ...next, firstSequence: 1, lastSequence: 9 })).toBe(8);
    });
    expect(readdirSync(folder).filter((name) => name.includes('schema'))).toEqual([]);
  });

  test('file: a later schema version: set aside, and a new one begins', async () => {
    await withStore((store) => store.alignWith({ epoch: 'e1', firstSequence: 1, lastSequence: 0 }));
    const database = new Database(path);
    database.pragma('user_version = 77');
    database.close();
    await withStore((store) => expect(store.archive.bounds).toBeUndefined());
    expect(readdirSync(folder)).toContain('archive.schema-77.db');
  });

  test('file: damaged: set aside, and a new one begins', async () => {
    await withStore((store) => store.alignWith({ epoch: 'e1', firstSequence: 1, lastSequence: 0 }));
    const database = new Database(path);
    database.unsafeMode();
    database.pragma('writable_schema = ON');
    database.exec("UPDATE sqlite_schema SET sql = 'CREATE TABLE nonsense' WHERE name = 'events'");
    database.close();
    await withStore((store) => expect(store.archive.bounds).toBeUndefined());
    expect(readdirSync(folder)).toContain('archive.damaged.db');
  });

  test('file: database of another program: refused and left alone', () => {
    const foreign = new Database(path);
    foreign.exec('CREATE TABLE invoices (id INTEGER)');
    foreign.close();
    expect(() => new ArchiveStore(path, logger)).toThrow('is a database of another program');
    expect(readdirSync(folder)).toEqual(['archive.db']);
  });

  test('file: no database at all: refused and left alone', () => {
    writeFileSync(path, 'rubbish '.repeat(1000));
    expect(() => new ArchiveStore(path, logger)).toThrow('not a database');
    expect(readdirSync(folder)).toEqual(['archive.db']);
  });

  test('file: a folder in its place: refused in one sentence', () => {
    mkdirSync(path);
    expect(() => new ArchiveStore(path, logger)).toThrow(
      /TIDEMARK_REPLAY_DATABASE=\S+ cannot be opened/,
    );
  });
});
