import type { Erasure } from '@tidemark/protocol';
import type { Database, Statement } from 'better-sqlite3';
import { STEP_BYTES_MAX, STEP_EVENTS_MAX } from './removal.ts';

/**
 * How far an erasure is: its events are still to be removed from the archive; then from the disk and the stream;
 * then nothing is left of them.
 */
export type ErasureState = 'archive' | 'stream' | 'complete';

const STATES: readonly ErasureState[] = ['archive', 'stream', 'complete'];

/** What the archive knows of an erasure. */
export interface KnownErasure {
  /** The sequence of its record. */
  readonly record: number;
  /** `null`: single events. */
  readonly topic: string | null;
  /** How many events have been removed from this archive. */
  readonly events: number;
  readonly state: ErasureState;
}

interface Row extends Omit<KnownErasure, 'state'> {
  readonly state: number;
}

interface SizedEvent {
  readonly sequence: number;
  readonly bytes: number;
}

/** What readers of a topic have yet to be told of an erasure. */
export interface OwedNotice {
  readonly id: number;
  /** The sequence of the record. */
  readonly record: number;
  readonly topic: string;
  /** What was erased; `null`: all of the topic before the record. */
  readonly sequences: readonly number[] | null;
}

interface NoticeRow extends Omit<OwedNotice, 'sequences'> {
  readonly sequences: string | null;
}

const COLUMNS = 'record, topic, events, state';

/** Beside the schema, because files of the same version exist without it, and are kept. */
const NOTICES_TABLE = `
  CREATE TABLE IF NOT EXISTS notices (
    id INTEGER PRIMARY KEY,
    record INTEGER NOT NULL,
    topic TEXT NOT NULL,
    sequences TEXT
  ) STRICT;
`;

/** The erasures that the archive knows of, and which events they cover: also such as it does not have (yet). */
export class ErasureTable {
  readonly #database: Database;
  readonly #open: Statement<[number, number], Row>;
  readonly #find: Statement<[number], Row>;
  readonly #ofEvent: Statement<[number], Row>;
  readonly #ofTopic: Statement<[string], Row>;
  readonly #sequences: Statement<[number], number>;
  /** Whether there may be one. Without any, nothing asks the file. */
  #any: boolean;
  /** Whether one may be incomplete. */
  #pending = true;
  /** Whether a notice may be owed. */
  #owes = true;

  constructor(database: Database) {
    this.#database = database;
    database.exec(NOTICES_TABLE);
    const select = <P extends unknown[]>(where: string) =>
      database.prepare<P, Row>(`SELECT ${COLUMNS} FROM erasures WHERE ${where}`);
    this.#open = select('state = ? AND record > ? ORDER BY record LIMIT 1');
    this.#find = select('record = ?');
    this.#ofEvent = select('record = (SELECT record FROM erased WHERE sequence = ?)');
    this.#ofTopic = select('topic = ? ORDER BY record DESC LIMIT 1');
    this.#sequences = database
      .prepare<[number], number>('SELECT sequence FROM erased WHERE record = ? ORDER BY sequence')
      .pluck();
    this.#any = database.prepare('SELECT 1 FROM erasures LIMIT 1').get() !== undefined;
  }

  /** Notes a record. A record that is known stays as it is. */
  add(record: number, { topic, sequences }: Erasure): void {
    this.#any = true;
    this.#pending = true;
    const insert = this.#database.prepare(
      'INSERT OR IGNORE INTO erasures (record, topic) VALUES (?, ?)',
    );
    if (insert.run(record, topic ?? null).changes === 0) return;
    const insertErased = this.#database.prepare(
      'INSERT OR IGNORE INTO erased (sequence, record) VALUES (?, ?)',
    );
    // A record erases what lies before it.
    for (const sequence of sequences ?? []) {
      if (sequence < record) insertErased.run(sequence, record);
    }
  }

  /** Whether an event is erased by a record that the archive knows. */
  covers({ sequence, topic }: { readonly sequence: number; readonly topic: string }): boolean {
    if (!this.#any) return false;
    if (this.#ofEvent.get(sequence)) return true;
    return (this.#ofTopic.get(topic)?.record ?? 0) > sequence;
  }

  /** The erasure of a record. */
  find(record: number): KnownErasure | undefined {
    return toKnown(this.#find.get(record));
  }

  /** The erasure that names a single event. */
  ofEvent(sequence: number): KnownErasure | undefined {
    return toKnown(this.#ofEvent.get(sequence));
  }

  /** The last erasure of a topic. */
  ofTopic(topic: string): KnownErasure | undefined {
    return toKnown(this.#ofTopic.get(topic));
  }

  /** The oldest erasure in a state, of those whose records lie after a sequence. */
  firstIn(state: Exclude<ErasureState, 'complete'>, after = 0): KnownErasure | undefined {
    if (!this.#pending) return undefined;
    const found = toKnown(this.#open.get(STATES.indexOf(state), after));
    // One that is to be removed from the archive comes into the other state later.
    if (!found && state === 'stream' && after === 0) {
      this.#pending = this.#open.get(STATES.indexOf('archive'), 0) !== undefined;
    }
    return found;
  }

  /** The single events that an erasure names. */
  sequencesOf(record: number): number[] {
    return this.#sequences.all(record);
  }

  /** Events of an erasure that the archive has, as many as one step may remove. */
  listStep({ record, topic }: KnownErasure): number[] {
    const sized =
      topic === null
        ? this.#database
            .prepare<[number, number], SizedEvent>(
              `SELECT e.sequence, octet_length(e.json) AS bytes FROM erased x
               JOIN events e ON e.sequence = x.sequence WHERE x.record = ? LIMIT ?`,
            )
            .iterate(record, STEP_EVENTS_MAX)
        : this.#database
            .prepare<[string, number, number], SizedEvent>(
              `SELECT sequence, octet_length(json) AS bytes FROM events INDEXED BY events_by_topic
               WHERE topic_id = (SELECT id FROM topics WHERE name = ?) AND sequence < ?
               ORDER BY sequence LIMIT ?`,
            )
            .iterate(topic, record, STEP_EVENTS_MAX);
    const sequences: number[] = [];
    let bytes = 0;
    for (const event of sized) {
      sequences.push(event.sequence);
      bytes += event.bytes;
      if (bytes >= STEP_BYTES_MAX) break;
    }
    return sequences;
  }

  /** Notes that the readers of what a step removes have to be told. It comes before the removal, in the same transaction. */
  oweNotices({ record, topic }: KnownErasure, sequences: readonly number[]): void {
    if (sequences.length === 0) return;
    this.#owes = true;
    if (topic === null) {
      this.#database
        .prepare(
          `INSERT INTO notices (record, topic, sequences)
           SELECT ?, t.name, json_group_array(e.sequence ORDER BY e.sequence) FROM json_each(?) x
           JOIN events e ON e.sequence = x.value JOIN topics t ON t.id = e.topic_id GROUP BY t.name`,
        )
        .run(record, JSON.stringify(sequences));
      return;
    }
    const isOwed = this.#database.prepare('SELECT 1 FROM notices WHERE record = ? AND topic = ?');
    if (isOwed.get(record, topic)) return;
    this.#database.prepare('INSERT INTO notices (record, topic) VALUES (?, ?)').run(record, topic);
  }

  /** The oldest notice that is owed. */
  nextNotice(): OwedNotice | undefined {
    if (!this.#owes) return undefined;
    const row = this.#database
      .prepare<[], NoticeRow>(
        'SELECT id, record, topic, sequences FROM notices ORDER BY id LIMIT 1',
      )
      .get();
    this.#owes = row !== undefined;
    return row && { ...row, sequences: row.sequences === null ? null : JSON.parse(row.sequences) };
  }

  /** Forgets a notice that was told. */
  dropNotice(id: number): void {
    this.#database.prepare('DELETE FROM notices WHERE id = ?').run(id);
  }

  /** Notes how far an erasure has come. */
  note(record: number, state: ErasureState, removed: number): void {
    this.#database
      .prepare('UPDATE erasures SET state = ?, events = events + ? WHERE record = ?')
      .run(STATES.indexOf(state), removed, record);
  }

  /**
   * Takes over how far erasures are in another archive of the log, as many as one step may: how many events they removed,
   * and which are complete. Here they must have been carried out.
   *
   * @param after only those whose records lie after this sequence
   * @returns the last of them; `undefined` where there are no more
   */
  takeProgress(other: ErasureTable, after: number): number | undefined {
    const rows = other.#database
      .prepare<[number, number], Row>(
        `SELECT ${COLUMNS} FROM erasures WHERE record > ? ORDER BY record LIMIT ?`,
      )
      .all(after, STEP_EVENTS_MAX);
    const update = this.#database.prepare(
      'UPDATE erasures SET events = ?, state = max(state, ?) WHERE record = ?',
    );
    const complete = STATES.indexOf('complete');
    const take = this.#database.transaction(() => {
      for (const { record, topic, events, state } of rows) {
        // Of a record that is gone only the other archive knows what it erased.
        this.add(record, topic === null ? { sequences: other.sequencesOf(record) } : { topic });
        update.run(events, state === complete ? complete : 0, record);
      }
    });
    take();
    return rows.at(-1)?.record;
  }

  /**
   * Takes over the notices that another archive of the log owes, under their ids. Of its own it keeps those of erasures that
   * the other one has not carried out.
   */
  takeNotices(other: ErasureTable): void {
    const read = (table: ErasureTable) =>
      table.#database.prepare<[], NoticeRow>('SELECT * FROM notices ORDER BY id').all();
    const own = read(this).filter(({ record }) => other.find(record)?.state === 'archive');
    const insert = this.#database.prepare<[number | null, number, string, string | null]>(
      'INSERT INTO notices (id, record, topic, sequences) VALUES (?, ?, ?, ?)',
    );
    const take = this.#database.transaction(() => {
      this.#database.exec('DELETE FROM notices');
      for (const { id, record, topic, sequences } of read(other)) {
        insert.run(id, record, topic, sequences);
      }
      for (const { record, topic, sequences } of own) insert.run(null, record, topic, sequences);
    });
    take();
  }

  /** All of them are to be carried out again: the stream may be another copy, which knows nothing of them. */
  repeatAll(): void {
    this.#pending = true;
    this.#database.prepare('UPDATE erasures SET state = 0').run();
  }

  /** Forgets the records after a sequence, which the log has lost. */
  forgetAfter(sequence: number): void {
    for (const table of ['erased', 'erasures', 'notices']) {
      this.#database.prepare(`DELETE FROM ${table} WHERE record > ?`).run(sequence);
    }
  }
}

function toKnown(row: Row | undefined): KnownErasure | undefined {
  return row && { ...row, state: STATES[row.state] ?? 'complete' };
}
