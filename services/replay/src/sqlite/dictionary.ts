import assert from 'node:assert';
import type { Database, Statement } from 'better-sqlite3';

/** Most names whose entries are in memory. Beyond it the cache is cleared. */
const CACHED_NAMES_MAX = 100_000;

/** The columns of an event that hold a name by its id. */
export type Column = 'topic' | 'type' | 'source';

/** A name and what the archive holds under it. */
export interface DictionaryEntry {
  readonly id: number;
  readonly name: string;
  readonly firstSequence: number;
  readonly lastSequence: number;
  readonly count: number;
}

export interface Dictionaries {
  readonly topics: Dictionary;
  readonly types: Dictionary;
  readonly sources: Dictionary;
}

/** A page of names: from `from` on, below `below` and after `after`, in byte order. */
interface NamePage {
  readonly from: string;
  readonly below: string;
  readonly after: string;
  readonly limit: number;
}

/** Events of one name that were counted since the last write of the counts. */
interface PendingCount {
  readonly id: number;
  readonly name: string;
  firstSequence: number;
  lastSequence: number;
  count: number;
}

const COLUMNS = `id, name, first_sequence AS firstSequence, last_sequence AS lastSequence,
  event_count AS count`;

/** The names that events repeat (topics, types or sources), each stored once and counted. */
export class Dictionary {
  readonly #find: Statement<[string], DictionaryEntry>;
  readonly #name: Statement<[number], string>;
  readonly #total: Statement<[], number>;
  readonly #range: Statement<[NamePage], DictionaryEntry>;
  readonly #insert: Statement<[string, number, number]>;
  readonly #count: Statement<[number, number, number, number]>;
  /** Entries as the table has them: whoever counts the same names finds them in a tenth of the time. */
  readonly #known = new Map<string, DictionaryEntry>();
  readonly #pending = new Map<string, PendingCount>();

  constructor(database: Database, table: 'topics' | 'types' | 'sources') {
    this.#find = database.prepare(`SELECT ${COLUMNS} FROM ${table} WHERE name = ?`);
    this.#name = database
      .prepare<[number], string>(`SELECT name FROM ${table} WHERE id = ?`)
      .pluck();
    this.#total = database
      .prepare<[], number>(`SELECT coalesce(sum(event_count), 0) FROM ${table}`)
      .pluck();
    // One lower bound, where the index is entered. With two, SQLite would begin each page at the first of them.
    this.#range = database.prepare(
      `SELECT ${COLUMNS} FROM ${table}
       WHERE name >= max(@from, @after) AND name < @below AND +name > @after
       ORDER BY name LIMIT @limit`,
    );
    this.#insert = database.prepare(
      `INSERT INTO ${table} (name, first_sequence, last_sequence, event_count) VALUES (?, ?, ?, 0)`,
    );
    this.#count = database.prepare(
      `UPDATE ${table} SET first_sequence = min(first_sequence, ?),
         last_sequence = max(last_sequence, ?), event_count = event_count + ?
       WHERE id = ?`,
    );
  }

  findEntry(name: string): DictionaryEntry | undefined {
    const known = this.#known.get(name) ?? this.#find.get(name);
    if (known) this.#keep(known);
    return known;
  }

  /** The name of an id that an event has. */
  nameOf(id: number): string {
    const name = this.#name.get(id);
    assert(name !== undefined, `No name has the id ${id}.`);
    return name;
  }

  /** How many events all names have. It takes 0.1 ms for a thousand names. */
  countAll(): number {
    return this.#total.get() ?? 0;
  }

  /** At most `limit` names from `from` on, below `below` and after `after`, in byte order. */
  listEntries(names: NamePage): DictionaryEntry[] {
    return this.#range.all(names);
  }

  /**
   * Counts an event under a name. The count is written by the next `writeCounts`.
   *
   * @returns the id of the name, which is given on its first use
   */
  countEvent(name: string, sequence: number): number {
    const pending = this.#pending.get(name);
    if (pending) {
      pending.count++;
      pending.firstSequence = Math.min(pending.firstSequence, sequence);
      pending.lastSequence = Math.max(pending.lastSequence, sequence);
      return pending.id;
    }
    const id = this.findEntry(name)?.id ?? this.#add(name, sequence);
    const begin = { firstSequence: sequence, lastSequence: sequence, count: 1 };
    this.#pending.set(name, { id, name, ...begin });
    return id;
  }

  /** Writes what was counted since the last time: one update for each name, not for each event. */
  writeCounts(): void {
    for (const { id, name, firstSequence, lastSequence, count } of this.#pending.values()) {
      this.#count.run(firstSequence, lastSequence, count, id);
      const known = this.#known.get(name);
      if (!known) continue;
      this.#known.set(name, {
        ...{ id, name },
        firstSequence: Math.min(known.firstSequence, firstSequence),
        lastSequence: Math.max(known.lastSequence, lastSequence),
        count: known.count + count,
      });
    }
    this.#pending.clear();
  }

  /** Clears the cache after a transaction that was rolled back or removed rows. */
  clearCache(): void {
    this.#known.clear();
    this.#pending.clear();
  }

  #add(name: string, sequence: number): number {
    const id = Number(this.#insert.run(name, sequence, sequence).lastInsertRowid);
    this.#keep({ id, name, firstSequence: sequence, lastSequence: sequence, count: 0 });
    return id;
  }

  #keep(entry: DictionaryEntry): void {
    if (this.#known.has(entry.name)) return;
    if (this.#known.size >= CACHED_NAMES_MAX) this.#known.clear();
    this.#known.set(entry.name, entry);
  }
}
