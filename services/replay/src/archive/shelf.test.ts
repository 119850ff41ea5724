import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tidemark/telemetry';
import Database from 'better-sqlite3';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Shelf } from './shelf.ts';

const log = createLogger('test', 'silent');

let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemark-shelf-'));
  path = join(folder, 'archive.db');
});

afterEach(() => rmSync(folder, { recursive: true }));

function event(sequence: number) {
  const json = `{"id":"${sequence}"}`;
  return { sequence, timeMs: sequence, topic: 'a', type: 't', source: '/s', json };
}

/** Opens the archive, lets the work happen, and closes it. */
function withShelf(work: (shelf: Shelf) => void): void {
  const shelf = new Shelf(path, log);
  try {
    work(shelf);
  } finally {
    shelf.close();
  }
}

describe('shelf: the archive in line with the stream', () => {
  test('shelf: new archive: begins where the stream begins and notes what was before', () => {
    withShelf((shelf) => {
      expect(shelf.align({ epoch: 'e1', firstSequence: 6, lastSequence: 9 })).toBe(5);
      expect(shelf.archive.missing({ after: 0, through: 9 })).toEqual([{ from: 1, to: 5 }]);
    });
  });

  test('shelf: same stream after a restart: goes on at the position', () => {
    withShelf((shelf) => {
      shelf.align({ epoch: 'e1', firstSequence: 1, lastSequence: 0 });
      shelf.archive.append([event(1), event(2)], [], 2);
    });
    withShelf((shelf) => {
      expect(shelf.align({ epoch: 'e1', firstSequence: 1, lastSequence: 5 })).toBe(2);
      expect(shelf.archive.missing({ after: 0, through: 9 })).toEqual([]);
    });
  });

  test('shelf: stream dropped events unseen: the range is noted and reading goes on behind', () => {
    withShelf((shelf) => {
      shelf.align({ epoch: 'e1', firstSequence: 1, lastSequence: 2 });
      shelf.archive.append([event(1), event(2)], [], 2);
      expect(shelf.align({ epoch: 'e1', firstSequence: 8, lastSequence: 9 })).toBe(7);
      expect(shelf.archive.missing({ after: 0, through: 9 })).toEqual([{ from: 3, to: 7 }]);
      expect(shelf.archive.event(2)?.json).toBe('{"id":"2"}');
    });
  });

  test('shelf: stream lost its end: events beyond it are taken back', () => {
    withShelf((shelf) => {
      shelf.align({ epoch: 'e1', firstSequence: 1, lastSequence: 3 });
      shelf.archive.append([event(1), event(2), event(3)], [], 3);
      expect(shelf.align({ epoch: 'e1', firstSequence: 1, lastSequence: 1 })).toBe(1);
      expect(shelf.archive.event(2)).toBeUndefined();
      expect(shelf.archive.event(1)).toBeDefined();
    });
  });

  test('shelf: another stream: the old file is kept and a new one begins', () => {
    withShelf((shelf) => {
      shelf.align({ epoch: 'old', firstSequence: 1, lastSequence: 1 });
      shelf.archive.append([event(1)], [], 1);
      expect(shelf.align({ epoch: 'new', firstSequence: 1, lastSequence: 0 })).toBe(0);
      expect(shelf.archive.position?.epoch).toBe('new');
      expect(shelf.archive.event(1)).toBeUndefined();
    });
    const kept = new Database(join(folder, 'archive.old.db'), { readonly: true });
    expect(kept.prepare('SELECT count(*) FROM events').pluck().get()).toBe(1);
    kept.close();
  });
});

describe('shelf: files', () => {
  test('file: killed without closing: opens with all that was committed', () => {
    const killed = new Shelf(path, log);
    killed.align({ epoch: 'e1', firstSequence: 1, lastSequence: 1 });
    killed.archive.append([event(1)], [], 1);
    expect(existsSync(`${path}-wal`)).toBe(true);
    withShelf((shelf) => expect(shelf.archive.event(1)?.topic).toBe('a'));
    killed.close();
  });

  test('file: only the .db was deleted: its old write-ahead log is not played back', () => {
    const killed = new Shelf(path, log);
    killed.align({ epoch: 'e1', firstSequence: 1, lastSequence: 1 });
    rmSync(path);
    withShelf((shelf) => expect(shelf.archive.position).toBeUndefined());
    killed.close();
  });

  test('file: another schema version: set aside, and a new one begins', () => {
    withShelf((shelf) => shelf.align({ epoch: 'e1', firstSequence: 1, lastSequence: 0 }));
    const database = new Database(path);
    database.pragma('user_version = 77');
    database.close();
    withShelf((shelf) => expect(shelf.archive.position).toBeUndefined());
    expect(readdirSync(folder)).toContain('archive.schema-77.db');
  });

  test('file: damaged: set aside, and a new one begins', () => {
    withShelf((shelf) => shelf.align({ epoch: 'e1', firstSequence: 1, lastSequence: 0 }));
    const database = new Database(path);
    database.unsafeMode();
    database.pragma('writable_schema = ON');
    database.exec("UPDATE sqlite_schema SET sql = 'CREATE TABLE nonsense' WHERE name = 'events'");
    database.close();
    withShelf((shelf) => expect(shelf.archive.position).toBeUndefined());
    expect(readdirSync(folder)).toContain('archive.damaged.db');
  });

  test('file: database of another program: refused and left alone', () => {
    const foreign = new Database(path);
    foreign.exec('CREATE TABLE invoices (id INTEGER)');
    foreign.close();
    expect(() => new Shelf(path, log)).toThrow('is a database of another program');
    expect(readdirSync(folder)).toEqual(['archive.db']);
  });

  test('file: no database at all: refused and left alone', () => {
    writeFileSync(path, 'rubbish '.repeat(1000));
    expect(() => new Shelf(path, log)).toThrow('not a database');
    expect(readdirSync(folder)).toEqual(['archive.db']);
  });

  test('file: a folder in its place: refused in one sentence', () => {
    mkdirSync(path);
    expect(() => new Shelf(path, log)).toThrow(/TIDEMARK_REPLAY_DATABASE=\S+ cannot be opened/);
  });
});
