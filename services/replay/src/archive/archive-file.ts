import type { LogBounds, SequenceRange } from '@tidemark/protocol';
import { parseEarlier } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { Database, Statement } from 'better-sqlite3';
import { openDatabase, readIdentity } from '../sqlite/database-file.ts';
import { type Dictionaries, Dictionary } from '../sqlite/dictionary.ts';
import { ErasureTable } from '../sqlite/erasure-table.ts';
import { EventTable } from '../sqlite/event-table.ts';
import { ExpiryTable } from '../sqlite/expiry-table.ts';
import { HeaderIndex, HeaderTable } from '../sqlite/header-table.ts';
import { KeyIndex } from '../sqlite/key-index.ts';
import type { LogRange } from '../sqlite/log-range.ts';
import { Writer } from '../sqlite/writer.ts';

/** The open file of an archive, with all that reads and writes it. */
export class ArchiveFile {
  readonly database: Database;
  /** Names the file, from its beginning on. */
  readonly id: string;
  readonly dictionaries: Dictionaries;
  readonly table: EventTable;
  readonly headers: HeaderTable;
  readonly headerIndex: HeaderIndex;
  readonly topicIndex: HeaderIndex;
  readonly index: KeyIndex;
  readonly expiry: ExpiryTable;
  readonly erasures: ErasureTable;
  readonly writer: Writer;
  readonly missing: Statement<[LogRange], SequenceRange>;
  readonly rows: Statement<[LogRange], number>;
  readonly longestMissing: Statement<[{ through: number; rangesMax: number }], SequenceRange>;

  /** @throws ConfigurationError when the file cannot be written or belongs to another program */
  constructor(path: string, logger: Logger) {
    const database = openDatabase(path, logger);
    this.database = database;
    this.id = readIdentity(database);
    this.dictionaries = {
      topics: new Dictionary(database, 'topics'),
      types: new Dictionary(database, 'types'),
      sources: new Dictionary(database, 'sources'),
    };
    this.table = new EventTable(database);
    this.headers = new HeaderTable(database);
    this.headerIndex = new HeaderIndex(database, { typed: true });
    this.topicIndex = new HeaderIndex(database, { typed: false });
    this.index = new KeyIndex(database);
    this.expiry = new ExpiryTable(database);
    this.erasures = new ErasureTable(database);
    const { dictionaries, expiry, erasures } = this;
    this.writer = new Writer(database, { dictionaries, expiry, erasures });
    this.missing = database.prepare(
      `SELECT max(from_sequence, @after + 1) AS "from", min(to_sequence, @through) AS "to"
       FROM missing WHERE to_sequence > @after AND from_sequence <= @through
       ORDER BY from_sequence`,
    );
    this.rows = database
      .prepare<[LogRange], number>(
        `SELECT sequence FROM events WHERE sequence > @after AND sequence <= @through
         ORDER BY sequence`,
      )
      .pluck();
    this.longestMissing = database.prepare(
      `SELECT * FROM (
         SELECT from_sequence AS "from", min(to_sequence, @through) AS "to" FROM missing
         WHERE from_sequence <= @through ORDER BY to_sequence - from_sequence DESC LIMIT @rangesMax
       ) ORDER BY "from"`,
    );
  }

  /** The bounds that were written last; `undefined` until the archive belongs to an epoch. */
  readBounds(): LogBounds | undefined {
    const row = this.database
      .prepare<[], Omit<LogBounds, 'earlier'> & { readonly earlier: string }>(
        `SELECT epoch, first_sequence AS firstSequence, sequence AS lastSequence, earlier
         FROM position`,
      )
      .get();
    if (!row) return undefined;
    const { earlier: text, ...bounds } = row;
    const earlier = parseEarlier(text);
    return earlier.length === 0 ? bounds : { ...bounds, earlier };
  }
}
