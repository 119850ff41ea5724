import assert from 'node:assert';
import type {
  ArchivedEvent,
  ArchiveHoldings,
  Lineage,
  LogBounds,
  SequenceRange,
} from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import {
  type Criteria,
  createFilters,
  type Filter,
  MERGED_NAMES_MAX,
} from '../selection/filters.ts';
import { Selection } from '../selection/selection.ts';
import { SelectionCache } from '../selection/selection-cache.ts';
import { isOpenElsewhere, replaceFile, writeIdentity } from '../sqlite/database-file.ts';
import type { Dictionary, DictionaryEntry } from '../sqlite/dictionary.ts';
import type { ErasureTable, KnownErasure } from '../sqlite/erasure-table.ts';
import type { EventKeys } from '../sqlite/event-table.ts';
import type { ArchivedHeader } from '../sqlite/header-table.ts';
import type { LogRange } from '../sqlite/log-range.ts';
import { STEP_EVENTS_MAX } from '../sqlite/removal.ts';
import type { IndexedEvent } from '../sqlite/writer.ts';
import { ArchiveFile } from './archive-file.ts';
import { Checkpoints } from './checkpoints.ts';

/**
 * One SQLite file: the events of one epoch of the stream, complete between its bounds except for the
 * ranges that it notes as missing. Bounds and events change together, so the file is exact at any
 * moment. If it is deleted, a new one gets what the stream still holds, and the rest only from the archive
 * of another replay service.
 */
export class Archive {
  readonly path: string;
  /** Must be held or stopped when the file is closed or replaced. */
  readonly checkpoints: Checkpoints;
  readonly #wallMs: () => number;
  readonly #logger: Logger;
  readonly #selections = new SelectionCache();
  #file: ArchiveFile;
  #revision = 0;
  #bounds: LogBounds | undefined;
  /** The last sequence in the file: beyond that of the bounds while a part of the file is to be removed. */
  #fileEnd = 0;

  /**
   * @param wallMs the wall clock, which tells what has expired
   * @throws ConfigurationError when the file cannot be written or belongs to another program
   */
  constructor(path: string, logger: Logger, wallMs: () => number = Date.now) {
    this.path = path;
    this.checkpoints = new Checkpoints(path, logger);
    this.#logger = logger;
    this.#wallMs = wallMs;
    this.#file = this.#openFile();
  }

  /** Names the file, from its beginning on. */
  get id(): string {
    return this.#file.id;
  }

  /** The erasures that it knows. */
  get erasures(): ErasureTable {
    return this.#file.erasures;
  }

  /** Whether the file still has events beyond the archive's bounds, which `truncateAfter` removes. */
  get truncating(): boolean {
    return this.#bounds !== undefined && this.#fileEnd > this.#bounds.lastSequence;
  }

  /** `undefined` until the archive belongs to an epoch. */
  get bounds(): LogBounds | undefined {
    return this.#bounds;
  }

  get topics(): Dictionary {
    return this.#file.dictionaries.topics;
  }

  /** The types of its events. There are fewer than topics. */
  get types(): Dictionary {
    return this.#file.dictionaries.types;
  }

  /** Grows with each part that is filled or removed: what was selected before may be wrong since then. */
  get revision(): number {
    return this.#revision;
  }

  get open(): boolean {
    return this.#file.database.open;
  }

  /** Gives a new archive to an epoch, from its first sequence on. */
  begin({ epoch, earlier }: Lineage, firstSequence: number): void {
    const range = { firstSequence, lastSequence: firstSequence - 1 };
    this.#bounds = { epoch, ...(earlier && { earlier }), ...range };
    this.#file.writer.begin(this.#bounds);
    this.#fileEnd = this.#bounds.lastSequence;
  }

  /** Goes on in the next epoch of the log, which must share all that the archive holds. */
  enterEpoch({ epoch, earlier }: Lineage): void {
    assert(!this.truncating, 'A part of the archive has to be removed before its epoch ends.');
    this.#file.writer.enterEpoch({ epoch, ...(earlier && { earlier }) });
    const { firstSequence, lastSequence } = this.#requireBounds();
    this.#bounds = { epoch, ...(earlier && { earlier }), firstSequence, lastSequence };
  }

  /**
   * Stores events that follow the last sequence and makes `through` the last sequence, all or
   * nothing.
   *
   * @throws Error when another process has changed the same file meanwhile
   */
  appendEvents(
    events: readonly IndexedEvent[],
    missing: readonly SequenceRange[],
    through: number,
  ): void {
    const bounds = this.#requireBounds();
    assert(!this.truncating, 'A part of the archive has to be removed before it grows.');
    this.#file.writer.appendBatch({ events, missing, through, bounds });
    this.#bounds = { ...bounds, lastSequence: through };
    this.#fileEnd = through;
  }

  /**
   * Stores a part of a missing range, with all its events in stream order. The part is then no longer
   * missing.
   *
   * @returns whether it was still missing; nothing is stored otherwise
   * @throws Error when another process has changed the same file meanwhile
   */
  fillPart({ from, to }: SequenceRange, events: readonly IndexedEvent[]): boolean {
    const bounds = this.#requireBounds();
    if (this.truncating || to > bounds.lastSequence) return false;
    if (!this.#file.writer.fillPart({ from, to, events, bounds })) return false;
    this.#bounds = { ...bounds, firstSequence: Math.min(bounds.firstSequence, from) };
    this.#revision++;
    return true;
  }

  /**
   * Ends the archive at a sequence, where the stream lost its end in a crash. What lies after it is not
   * served from then on. This call removes a part of that from the file, from the end on; the caller
   * repeats it while the archive is `truncating`.
   *
   * @returns how many events were removed
   */
  truncateAfter(sequence: number): number {
    const bounds = this.#requireBounds();
    const end = Math.min(sequence, bounds.lastSequence);
    const firstSequence = Math.min(bounds.firstSequence, end + 1);
    this.#bounds = { ...bounds, firstSequence, lastSequence: end };
    const file = { ...bounds, lastSequence: this.#fileEnd };
    const { removed, lastSequence } = this.#file.writer.truncateStep(end, file);
    this.#fileEnd = lastSequence;
    this.#revision++;
    return removed;
  }

  /** Whether it holds events that have expired. Nothing shows them, apart from the counts of topics. */
  get hasExpired(): boolean {
    return this.#hidden() !== undefined;
  }

  /**
   * Removes events that have expired, as many as one step may.
   *
   * @returns how many
   * @throws the error of SQLite, such as on a full disk
   */
  removeExpired(): number {
    const sequences = this.#file.expiry.listExpired(this.#wallMs(), STEP_EVENTS_MAX);
    if (sequences.length === 0) return 0;
    this.#revision++;
    return this.#file.writer.removeEvents(sequences);
  }

  /** Whether an event is erased by a record that the archive knows, also one that it never had. */
  isErased(event: { readonly sequence: number; readonly topic: string }): boolean {
    return this.erasures.covers(event);
  }

  /** Whether it still has events that are erased. History shows them for a moment; counts must not. */
  get erasing(): boolean {
    return this.erasures.firstIn('archive') !== undefined;
  }

  /**
   * Removes events of an erasure, as many as one step may.
   *
   * @returns how many; 0 where none is left
   * @throws the error of SQLite, such as on a full disk
   */
  eraseStep(erasure: KnownErasure): number {
    const removed = this.#file.writer.eraseStep(erasure);
    if (removed > 0) this.#revision++;
    return removed;
  }

  /**
   * Takes from the disk what was removed: until then it is still in the write-ahead log.
   *
   * @returns false where somebody reads the log at the moment, such as a backup
   */
  flushRemoved(): boolean {
    const [result] = this.#file.database.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
    return result?.busy === 0;
  }

  /**
   * The selection of some events. It may be one that was made before, for the same criteria.
   *
   * @param from the selection is complete up to this sequence at least, or to the end; the end if absent
   */
  select(criteria: Criteria, from = this.#end): Selection {
    const { patterns, types, source } = criteria;
    const needed = { from: Math.min(from, this.#end), revision: this.#revision };
    return this.#selections.get(JSON.stringify([patterns, types, source]), needed, () => {
      const sinceMs = performance.now();
      const filters = createFilters(criteria, this.#file.dictionaries);
      const hidden = () => this.#hidden();
      const end = () => this.#end;
      return new Selection(this.#file.table, this.#file.index, { filters, end, sinceMs, hidden });
    });
  }

  /**
   * A selection that nobody else uses and that is not kept: for one request of one user, whose patterns are hardly
   * those of the next one. Which way it reads follows from the number of names alone, so that a busy machine makes no
   * difference.
   *
   * @param read `headers`: its events are `ArchivedHeader`s; `topics`: the same, and their types may be empty
   */
  selectOnce(criteria: Criteria, read: 'events' | 'headers' | 'topics'): Selection {
    const sinceMs = performance.now();
    const filters = createFilters(criteria, this.#file.dictionaries, Number.POSITIVE_INFINITY);
    const common = { filters, end: () => this.#end, sinceMs, hidden: () => this.#hidden() };
    if (read === 'events') return new Selection(this.#file.table, this.#file.index, common);
    const index = read === 'headers' ? this.#file.headerIndex : this.#file.topicIndex;
    return new Selection(this.#file.headers, index, { ...common, eventKeysMax: MERGED_NAMES_MAX });
  }

  /** The conditions that events meet the criteria by, with the names as they are now. */
  filtersFor(criteria: Criteria): Filter[] {
    return createFilters(criteria, this.#file.dictionaries);
  }

  /** The last sequence of a topic up to a sequence; 0 where it has none. */
  lastOfTopic(topic: DictionaryEntry, through: number): number {
    const hidden = this.#hidden();
    const reader = this.#file.index.sequenceReader('topic', 'desc');
    const before = (end: number) => reader.readItems(topic, { after: 0, through: end }, 1)[0] ?? 0;
    let last = topic.lastSequence <= through ? topic.lastSequence : before(through);
    while (last > 0 && hidden?.(last)) last = before(last - 1);
    return last;
  }

  /** The last sequence of a topic before another one; 0 where it has none. */
  previousOfTopic(topic: DictionaryEntry, sequence: number): number {
    const reader = this.#file.index.sequenceReader('topic', 'desc');
    return reader.readItems(topic, { after: 0, through: sequence - 1 }, 1)[0] ?? 0;
  }

  /** The sequences of a topic up to a sequence, at most `limit`, the newest first. */
  newestOfTopic(topic: DictionaryEntry, through: number, limit: number): number[] {
    const reader = this.#file.index.sequenceReader('topic', 'desc');
    return reader.readItems(topic, { after: 0, through }, limit);
  }

  /** The sequences of a range that the file has a row for, whether that can be read or not. */
  rowsOf(range: LogRange): number[] {
    return this.#file.rows.all(range);
  }

  /** Whether an event of the file must not be shown any more. */
  isHidden(sequence: number): boolean {
    return this.#hidden()?.(sequence) ?? false;
  }

  /** What filters look at, of a sequence that an index has named. */
  keysOf(sequence: number): EventKeys {
    return this.#file.table.readKeys(sequence);
  }

  /** Runs reads as one transaction, which halves the time of single rows. */
  readConsistently<T>(read: () => T): T {
    return this.#file.table.readConsistently(read);
  }

  findEvent(sequence: number): ArchivedEvent | undefined {
    if (sequence > this.#end || this.#hidden()?.(sequence)) return undefined;
    return this.#file.table.findEvent(sequence);
  }

  /** An event without its content. */
  findHeader(sequence: number): ArchivedHeader | undefined {
    if (sequence > this.#end || this.#hidden()?.(sequence)) return undefined;
    return this.#file.headers.findEvent(sequence);
  }

  /**
   * The events of some sequences, in their order, up to a number of bytes of JSON; the first is read whatever
   * its size. One that is no longer there is passed over.
   *
   * @returns how many of the sequences were looked at
   */
  readEvents(
    sequences: readonly number[],
    bytesMax: number,
  ): { readonly events: ArchivedEvent[]; readonly looked: number } {
    return this.readConsistently(() => {
      const events: ArchivedEvent[] = [];
      let looked = 0;
      for (let bytes = 0; looked < sequences.length && bytes < bytesMax; looked++) {
        const event = this.findEvent(sequences[looked] ?? 0);
        if (!event) continue;
        events.push(event);
        bytes += event.json.length;
      }
      return { events, looked };
    });
  }

  /** The last event of a range; `undefined` where it has none. */
  lastEvent(range: LogRange): ArchivedEvent | undefined {
    const hidden = this.#hidden();
    const { after } = range;
    let sequence: number | undefined = Math.min(range.through, this.#end) + 1;
    do {
      sequence = this.#file.table.firstSequence({ after, through: sequence - 1 }, 'desc');
    } while (sequence !== undefined && hidden?.(sequence));
    return sequence === undefined ? undefined : this.#file.table.findEvent(sequence);
  }

  /** What the archive holds, with at most `rangesMax` missing ranges; `undefined` without an epoch. */
  holdings(rangesMax: number): ArchiveHoldings | undefined {
    const missing = this.#file.longestMissing.all({ through: this.#end, rangesMax });
    return this.#bounds && { ...this.#bounds, missing };
  }

  /** The parts of a range that the archive lacks, in order. */
  missingRanges({ after, through }: LogRange): SequenceRange[] {
    return this.#file.missing.all({ after, through: Math.min(through, this.#end) });
  }

  /**
   * The last sequence stored before a time (ms since 1970), 0 when there is none. Times never
   * decrease in the archive, so a binary search finds it in some thirty lookups without an index.
   */
  sequenceBefore(timeMs: number): number {
    const everything = { after: 0, through: this.#end };
    const first = this.#file.table.firstSequence(everything, 'asc');
    const last = this.#file.table.firstSequence(everything, 'desc');
    if (first === undefined || last === undefined) return 0;
    let low = first;
    let high = last + 1;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      const storedMs = this.#file.table.storedMs(middle);
      if (storedMs === undefined || storedMs >= timeMs) high = middle;
      else low = middle + 1;
    }
    return low === first ? 0 : low - 1;
  }

  /**
   * The sequence before the first event stored at a time (ms since 1970) or later; the last one without
   * such an event. Unlike `sequenceBefore` it includes what is missing just before that event.
   */
  sequenceUntil(timeMs: number): number {
    const rest = { after: this.sequenceBefore(timeMs), through: this.#end };
    const next = this.#file.table.firstSequence(rest, 'asc');
    return next === undefined ? this.#end : next - 1;
  }

  /**
   * Goes on with the file of another archive, which takes the place and the name of its own. Whoever reads this one
   * notices that its revision has grown. Both must end at the same sequence. A process that is killed meanwhile leaves
   * one of the two files under the name, whole. Only from within `checkpoints.whileClosed`.
   *
   * @returns false where another process has the file open, such as a backup: nothing has changed then
   * @throws the error of the file system; this archive then goes on with its own file
   */
  adopt(other: Archive): boolean {
    const end = ({ bounds }: Archive) => [bounds?.epoch, bounds?.lastSequence];
    assert.deepEqual(end(other), end(this), 'The two archives end at different places.');
    assert(!this.checkpoints.underway, 'A checkpoint has the file open.');
    if (!this.flushRemoved()) return false;
    this.#file.database.close();
    try {
      if (isOpenElsewhere(this.path)) return false;
      // It is the same archive for others, who would wait for one that has gone.
      writeIdentity(other.#file.database, this.id);
      // Closed, each of them is one file without companions.
      other.close();
      replaceFile(other.path, this.path);
      return true;
    } finally {
      this.#revision++;
      this.#file = this.#openFile();
    }
  }

  close(): void {
    this.#file.database.close();
  }

  #openFile(): ArchiveFile {
    const file = new ArchiveFile(this.path, this.#logger);
    this.#bounds = file.readBounds();
    this.#fileEnd = this.#bounds?.lastSequence ?? 0;
    return file;
  }

  /** Tells which events must not be shown any more; `undefined` while there are none. */
  #hidden(): ((sequence: number) => boolean) | undefined {
    return this.#file.expiry.expiredAt(this.#wallMs());
  }

  /** The last sequence that is served. */
  get #end(): number {
    return this.#bounds?.lastSequence ?? 0;
  }

  #requireBounds(): LogBounds {
    assert(this.#bounds, 'The archive belongs to no epoch yet.');
    return this.#bounds;
  }
}
