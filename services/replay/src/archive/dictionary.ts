import type { Database, Statement } from 'better-sqlite3';

/** Names whose numbers are kept in memory; beyond it all are forgotten and read again. */
const CACHED_NAMES_MAX = 100_000;

/** A name and what the archive holds under it. */
export interface Entry {
  readonly id: number;
  readonly name: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly count: number;
}

interface Tally {
  last: number;
  count: number;
}

const COLUMNS = `id, name, first_sequence AS firstSequence, last_sequence AS lastSequence,
  event_count AS count`;

/** The names that events repeat (topics, types or sources), each stored once and counted. */
export class Dictionary {
  readonly #find: Statement<[string], Entry>;
  readonly #name: Statement<[number], string>;
  readonly #range: Statement<[string, string, string, number], Entry>;
  readonly #insert: Statement<[string, number, number]>;
  readonly #count: Statement<[number, number, number]>;
  readonly #ids = new Map<string, number>();
  readonly #tallies = new Map<number, Tally>();

  constructor(database: Database, table: 'topics' | 'types' | 'sources') {
    this.#find = database.prepare(`SELECT ${COLUMNS} FROM ${table} WHERE name = ?`);
    this.#name = database
      .prepare<[number], string>(`SELECT name FROM ${table} WHERE id = ?`)
      .pluck();
    this.#range = database.prepare(
      `SELECT ${COLUMNS} FROM ${table}
       WHERE name >= ? AND name < ? AND name > ? ORDER BY name LIMIT ?`,
    );
    this.#insert = database.prepare(
      `INSERT INTO ${table} (name, first_sequence, last_sequence, event_count) VALUES (?, ?, ?, 0)`,
    );
    this.#count = database.prepare(
      `UPDATE ${table} SET last_sequence = ?, event_count = event_count + ? WHERE id = ?`,
    );
  }

  find(name: string): Entry | undefined {
    return this.#find.get(name);
  }

  nameOf(id: number): string {
    return this.#name.get(id) ?? '';
  }

  /** Names from `from` on, below `below` and after `after`, in byte order. */
  range(bounds: { from: string; below: string; after: string; limit: number }): Entry[] {
    return this.#range.all(bounds.from, bounds.below, bounds.after, bounds.limit);
  }

  /** The number of a name, given on its first use; the event is counted at the next `flush`. */
  add(name: string, sequence: number): number {
    const id = this.#ids.get(name) ?? this.#intern(name, sequence);
    const tally = this.#tallies.get(id);
    if (tally) {
      tally.count++;
      tally.last = sequence;
    } else {
      this.#tallies.set(id, { count: 1, last: sequence });
    }
    return id;
  }

  /** Writes what was counted since the last time: one update a name, not one an event. */
  flush(): void {
    for (const [id, { count, last }] of this.#tallies) this.#count.run(last, count, id);
    this.#tallies.clear();
  }

  /** Forgets what memory holds, after a transaction that was rolled back or took rows away. */
  forget(): void {
    this.#ids.clear();
    this.#tallies.clear();
  }

  #intern(name: string, sequence: number): number {
    const known = this.#find.get(name)?.id;
    const id = known ?? Number(this.#insert.run(name, sequence, sequence).lastInsertRowid);
    if (this.#ids.size >= CACHED_NAMES_MAX) this.#ids.clear();
    this.#ids.set(name, id);
    return id;
  }
}
