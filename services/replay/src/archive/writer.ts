import type { Database, Statement } from 'better-sqlite3';
import type { Dictionaries } from './facets.ts';
import type { ArchivePosition, MissingRange } from './windows.ts';

export interface NewEvent {
  readonly sequence: number;
  readonly timeMs: number;
  readonly topic: string;
  readonly type: string;
  readonly source: string;
  readonly json: string;
}

export interface Batch {
  /** In stream order, all beyond the position. */
  readonly events: readonly NewEvent[];
  readonly missing: readonly MissingRange[];
  /** The position after the batch: further than its last event where messages were skipped. */
  readonly through: number;
  /** The position that the batch follows. */
  readonly position: ArchivePosition;
}

/** Every change to the archive; each is one transaction. */
export class Writer {
  readonly #database: Database;
  readonly #dictionaries: Dictionaries;
  readonly #insert: Statement<[number, number, number, number, number, string]>;
  readonly #insertMissing: Statement<[number, number]>;
  readonly #move: Statement<[number, string, number]>;
  #lastTimeMs: number;

  constructor(database: Database, dictionaries: Dictionaries) {
    this.#database = database;
    this.#dictionaries = dictionaries;
    this.#insert = database.prepare(
      `INSERT INTO events (sequence, time_ms, topic_id, type_id, source_id, json)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#insertMissing = database.prepare(
      'INSERT INTO missing (from_sequence, to_sequence) VALUES (?, ?)',
    );
    this.#move = database.prepare(
      'UPDATE position SET sequence = ? WHERE epoch = ? AND sequence = ?',
    );
    this.#lastTimeMs = this.#readLastTime();
  }

  begin({ epoch, firstSequence, sequence }: ArchivePosition): void {
    this.#transact(() => {
      this.#database
        .prepare('INSERT INTO position (one, epoch, first_sequence, sequence) VALUES (1, ?, ?, ?)')
        .run(epoch, firstSequence, sequence);
      if (firstSequence > 1) this.#insertMissing.run(1, firstSequence - 1);
    });
  }

  append({ events, missing, through, position }: Batch): void {
    this.#transact(() => {
      this.#movePosition(position, through);
      for (const event of events) this.#store(event);
      for (const { from, to } of missing) this.#insertMissing.run(from, to);
      this.#flush();
    });
  }

  truncate(sequence: number, position: ArchivePosition): number {
    return this.#transact(() => {
      this.#movePosition(position, sequence);
      const removed = this.#database.prepare('DELETE FROM events WHERE sequence > ?').run(sequence);
      for (const column of ['topic', 'type', 'source']) this.#recount(column, sequence);
      this.#database.prepare('DELETE FROM missing WHERE from_sequence > ?').run(sequence);
      this.#database
        .prepare('UPDATE missing SET to_sequence = @sequence WHERE to_sequence > @sequence')
        .run({ sequence });
      this.#database
        .prepare('UPDATE position SET first_sequence = min(first_sequence, ? + 1)')
        .run(sequence);
      this.#forget();
      this.#lastTimeMs = this.#readLastTime();
      return removed.changes;
    });
  }

  #store({ sequence, timeMs, topic, type, source, json }: NewEvent): void {
    const { topics, types, sources } = this.#dictionaries;
    // The stream's time steps back when its leader moves to a server whose clock is behind. Reads
    // by time need an order, so such an event gets the time of the one before it.
    this.#lastTimeMs = Math.max(this.#lastTimeMs, timeMs);
    this.#insert.run(
      sequence,
      this.#lastTimeMs,
      topics.add(topic, sequence),
      types.add(type, sequence),
      sources.add(source, sequence),
      json,
    );
  }

  /** @throws when another process has moved the position of the same file meanwhile */
  #movePosition({ epoch, sequence }: ArchivePosition, through: number): void {
    if (this.#move.run(through, epoch, sequence).changes === 1) return;
    throw new Error('Another process writes to this database.');
  }

  /** Corrects what the names that stood beyond a sequence count, and drops those left empty. */
  #recount(column: string, sequence: number): void {
    const table = `${column}s`;
    this.#database.prepare(`DELETE FROM ${table} WHERE first_sequence > ?`).run(sequence);
    this.#database
      .prepare(
        `UPDATE ${table} SET
           last_sequence = (SELECT max(sequence) FROM events WHERE ${column}_id = ${table}.id),
           event_count = (SELECT count(*) FROM events WHERE ${column}_id = ${table}.id)
         WHERE last_sequence > ?`,
      )
      .run(sequence);
  }

  #transact<T>(change: () => T): T {
    try {
      return this.#database.transaction(change).immediate();
    } catch (error) {
      // Memory may name rows that were rolled back.
      this.#forget();
      throw error;
    }
  }

  #flush(): void {
    for (const dictionary of Object.values(this.#dictionaries)) dictionary.flush();
  }

  #forget(): void {
    for (const dictionary of Object.values(this.#dictionaries)) dictionary.forget();
  }

  #readLastTime(): number {
    const last = this.#database
      .prepare<[], number>('SELECT time_ms FROM events ORDER BY sequence DESC LIMIT 1')
      .pluck();
    return last.get() ?? 0;
  }
}
