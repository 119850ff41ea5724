import type { LogEvent } from '@tidemark/protocol';
import { EventEntry } from '../log/event-entry.ts';
import { PatternTree } from '../log/pattern-tree.ts';
import type { Slice } from '../log/tail.ts';
import type { ColdQuery } from './cold-reads.ts';

/** Most bytes of JSON for one reader, and for all readers of a scan together. */
export const READ_BYTES_MAX = 4 * 1024 * 1024;
const SCAN_BYTES_MAX = 64 * 1024 * 1024;

/** How long a scan goes on where others wait for the next one, and the time until it looks again where nobody does. */
const SCAN_MS_MAX = 3000;
const AWAITED_MS = 100;

/** Records between two looks at the clock. */
const RECORDS_PER_LOOK = 64;

/** What one reader gets. */
interface Reader {
  readonly query: ColdQuery;
  readonly entries: EventEntry[];
  bytes: number;
  /** The sequence at which its slice has as much as it may have. */
  fullAt: number | undefined;
}

/** A record as the stream delivers it. */
interface Scanned {
  readonly sequence: number;
  /** Absent where its subject holds none. */
  readonly topic?: string | undefined;
}

export interface RangeScanOptions<R> {
  /** @returns `undefined` for a record that is not a valid event */
  readonly decode: (record: R) => LogEvent | undefined;
  readonly nowMs: () => number;
  /** Whether others wait for the scan to end. */
  readonly isAwaited: () => boolean;
}

/** Takes the records of a range one after the other, and hands each to all the queries that it concerns. */
export class RangeScan<R extends Scanned> {
  readonly after: number;
  readonly through: number;
  readonly #readers: readonly Reader[];
  readonly #tree = new PatternTree<Reader>();
  readonly #byTopic = new Map<string, readonly Reader[]>();
  readonly #options: RangeScanOptions<R>;
  #endMs: number;
  #open: number;
  #records = 0;
  #bytes = 0;

  constructor(queries: readonly ColdQuery[], options: RangeScanOptions<R>) {
    this.after = Math.min(...queries.map((query) => query.after));
    this.through = Math.max(...queries.map((query) => query.through));
    this.#readers = queries.map((query) => ({ query, entries: [], bytes: 0, fullAt: undefined }));
    for (const reader of this.#readers) {
      for (const pattern of reader.query.patterns.list) this.#tree.add(pattern, reader);
    }
    this.#options = options;
    this.#endMs = options.nowMs() + SCAN_MS_MAX;
    this.#open = this.#readers.length;
  }

  /** @returns false where the scan ends with this record */
  take(record: R): boolean {
    const readers = this.#readersOf(record);
    if (readers.length > 0) this.#hand(record, readers);
    this.#records++;
    if (this.#open === 0 || this.#bytes >= SCAN_BYTES_MAX) return false;
    return this.#records % RECORDS_PER_LOOK !== 0 || !this.#isOver();
  }

  #isOver(): boolean {
    const { nowMs, isAwaited } = this.#options;
    if (nowMs() < this.#endMs) return false;
    if (isAwaited()) return true;
    this.#endMs = nowMs() + AWAITED_MS;
    return false;
  }

  /**
   * The slice of each query, in their order; `undefined` where the scan did not come to its range.
   *
   * @param through the sequence up to which the scan is complete
   */
  slices(through: number): (Slice | undefined)[] {
    return this.#readers.map(({ query, entries, fullAt = Number.POSITIVE_INFINITY }) => {
      const end = Math.min(through, query.through, fullAt);
      if (end <= query.after) return undefined;
      const complete = entries.filter(({ sequence }) => sequence <= end);
      return { entries: complete, through: end };
    });
  }

  #readersOf({ topic, sequence }: R): readonly Reader[] {
    if (topic === undefined) return [];
    let all = this.#byTopic.get(topic);
    if (!all) {
      all = this.#tree.matching(topic);
      this.#byTopic.set(topic, all);
    }
    return all.filter(({ query: { after, through }, fullAt }) => {
      return sequence > after && sequence <= through && fullAt === undefined;
    });
  }

  #hand(record: R, readers: readonly Reader[]): void {
    const event = this.#options.decode(record);
    const [{ query }] = readers as [Reader];
    const entry = event && new EventEntry(query.epoch, event);
    if (!entry || entry.expiresMs <= Date.now()) return;
    const bytes = entry.json.length;
    this.#bytes += bytes;
    for (const reader of readers) {
      reader.entries.push(entry);
      reader.bytes += bytes;
      if (reader.entries.length < reader.query.eventsMax && reader.bytes < READ_BYTES_MAX) continue;
      reader.fullAt = entry.sequence;
      this.#open--;
    }
  }
}
