import type { Logger } from '@tidemark/telemetry';
import type { Database, Statement } from 'better-sqlite3';
import { openDatabase } from './database-file.ts';
import { Dictionary } from './dictionary.ts';
import { EventTable } from './event-table.ts';
import { type Criteria, type Dictionaries, facets } from './facets.ts';
import { KeyIndex } from './key-merge.ts';
import { Selection } from './selection.ts';
import type { ArchivePosition, MissingRange, Range, StoredRow } from './windows.ts';
import { type NewEvent, Writer } from './writer.ts';

/**
 * One SQLite file: the events of one epoch of the stream, and the position up to which it is
 * complete. Position and rows change together, so the file is exact at any moment; it can be
 * deleted and is then built anew from what the stream holds.
 */
export class Archive {
  readonly path: string;
  readonly #database: Database;
  readonly #dictionaries: Dictionaries;
  readonly #table: EventTable;
  readonly #index: KeyIndex;
  readonly #writer: Writer;
  readonly #missing: Statement<[Range], MissingRange>;
  #position: ArchivePosition | undefined;

  /** @throws ConfigurationError when the file cannot be written or is not one of ours */
  constructor(path: string, log: Logger) {
    this.path = path;
    this.#database = openDatabase(path, log);
    this.#dictionaries = {
      topics: new Dictionary(this.#database, 'topics'),
      types: new Dictionary(this.#database, 'types'),
      sources: new Dictionary(this.#database, 'sources'),
    };
    this.#table = new EventTable(this.#database);
    this.#index = new KeyIndex(this.#database);
    this.#writer = new Writer(this.#database, this.#dictionaries);
    this.#missing = this.#database.prepare(
      `SELECT max(from_sequence, @after + 1) AS "from", min(to_sequence, @through) AS "to"
       FROM missing WHERE to_sequence > @after AND from_sequence <= @through
       ORDER BY from_sequence`,
    );
    this.#position = this.#database
      .prepare<[], ArchivePosition>(
        'SELECT epoch, first_sequence AS firstSequence, sequence FROM position',
      )
      .get();
  }

  /** `undefined` until the archive has been given to an epoch. */
  get position(): ArchivePosition | undefined {
    return this.#position;
  }

  get topics(): Dictionary {
    return this.#dictionaries.topics;
  }

  get open(): boolean {
    return this.#database.open;
  }

  /** Gives a new archive to an epoch, from its first sequence on. */
  begin(epoch: string, firstSequence: number): void {
    this.#position = { epoch, firstSequence, sequence: firstSequence - 1 };
    this.#writer.begin(this.#position);
  }

  /** Stores events that follow the position and moves it, all or nothing. */
  append(events: readonly NewEvent[], missing: readonly MissingRange[], through: number): void {
    const position = this.#known();
    this.#writer.append({ events, missing, through, position });
    this.#position = { ...position, sequence: through };
  }

  /**
   * Takes back what lies beyond a sequence, where the stream lost its end in a crash.
   *
   * @returns how many events were removed
   */
  truncate(sequence: number): number {
    const position = this.#known();
    const removed = this.#writer.truncate(sequence, position);
    const firstSequence = Math.min(position.firstSequence, sequence + 1);
    this.#position = { ...position, firstSequence, sequence };
    return removed;
  }

  select(criteria: Criteria): Selection {
    return new Selection(this.#table, this.#index, facets(criteria, this.#dictionaries));
  }

  event(sequence: number): StoredRow | undefined {
    return this.#table.row(sequence);
  }

  /** What the archive never got of a range, in order. */
  missing({ after, through }: Range): MissingRange[] {
    return this.#missing.all({ after, through });
  }

  /**
   * The last sequence stored before a time, 0 when there is none. Times never run backwards in the
   * archive, so halving finds it in some thirty lookups without an index.
   */
  sequenceAt(timeMs: number): number {
    const everything = { after: 0, through: Number.MAX_SAFE_INTEGER };
    const first = this.#table.first(everything, 'asc');
    const last = this.#table.first(everything, 'desc');
    if (first === undefined || last === undefined) return 0;
    let low = first;
    let high = last + 1;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      const found = this.#table.time(middle);
      if (found === undefined || found >= timeMs) high = middle;
      else low = middle + 1;
    }
    return low === first ? 0 : low - 1;
  }

  close(): void {
    this.#database.close();
  }

  #known(): ArchivePosition {
    if (!this.#position) throw new Error('The archive belongs to no epoch yet.');
    return this.#position;
  }
}
