import {
  type ArchivedEvent,
  type CloudEvent,
  ERASURES_TOPIC,
  type Erasure,
  expiryMs,
  formatEarlier,
  type Lineage,
  type LogBounds,
  NEVER_MS,
  readErasure,
  type SequenceRange,
} from '@tidemark/protocol';
import type { Database, Statement } from 'better-sqlite3';
import type { Dictionaries } from './dictionary.ts';
import type { ErasureTable, KnownErasure } from './erasure-table.ts';
import type { ExpiryTable } from './expiry-table.ts';
import { removeAfter, removeEvents } from './removal.ts';

/** An event to be archived, with the names that it is indexed by beside its topic. */
export interface IndexedEvent extends ArchivedEvent {
  readonly type: string;
  readonly source: string;
  /** When it expires, in ms since 1970; absent: never. */
  readonly expiresMs?: number;
  /** What it erases, where it is the record of an erasure. */
  readonly erasure?: Erasure;
}

/**
 * An event with what the archive indexes of it, which its JSON holds.
 *
 * @throws SyntaxError where the JSON is none
 */
export function toIndexed(event: Omit<ArchivedEvent, 'topic'>): IndexedEvent {
  const parsed = JSON.parse(event.json) as CloudEvent;
  const { topic, type, source } = parsed;
  const expiresMs = expiryMs(parsed.expires);
  const erasure = topic === ERASURES_TOPIC ? readErasure(parsed) : undefined;
  return {
    ...{ ...event, topic, type, source },
    ...(expiresMs !== NEVER_MS && { expiresMs }),
    ...(erasure && { erasure }),
  };
}

export interface Batch {
  /** In stream order, all after the archive's last sequence. */
  readonly events: readonly IndexedEvent[];
  readonly missing: readonly SequenceRange[];
  /** The last sequence after the batch: beyond its last event where messages were skipped. */
  readonly through: number;
  /** The bounds that the batch follows. */
  readonly bounds: LogBounds;
}

/** Part of a missing range, as another archive has it. */
export interface Filling {
  /** The part: all of it is missing. */
  readonly from: number;
  readonly to: number;
  /** All events of the part, in stream order. */
  readonly events: readonly IndexedEvent[];
  /** The bounds of this archive. */
  readonly bounds: LogBounds;
}

/** The tables that the writer keeps beside that of the events. */
export interface WriterTables {
  readonly dictionaries: Dictionaries;
  readonly expiry: ExpiryTable;
  readonly erasures: ErasureTable;
}

/** Makes every change to the archive; each is one transaction. */
export class Writer {
  readonly #database: Database;
  readonly #dictionaries: Dictionaries;
  readonly #expiry: ExpiryTable;
  readonly #erasures: ErasureTable;
  readonly #insert: Statement<[number, number, number, number, number, string]>;
  readonly #insertMissing: Statement<[number, number]>;
  readonly #moveEnd: Statement<[number, string, number]>;
  #lastTimeMs: number;

  constructor(database: Database, { dictionaries, expiry, erasures }: WriterTables) {
    this.#database = database;
    this.#dictionaries = dictionaries;
    this.#expiry = expiry;
    this.#erasures = erasures;
    this.#insert = database.prepare(
      `INSERT INTO events (sequence, time_ms, topic_id, type_id, source_id, json)
       VALUES (?, ?, ?, ?, ?, ?)`,
    );
    this.#insertMissing = database.prepare(
      'INSERT INTO missing (from_sequence, to_sequence) VALUES (?, ?)',
    );
    this.#moveEnd = database.prepare(
      'UPDATE position SET sequence = ? WHERE epoch = ? AND sequence = ?',
    );
    this.#lastTimeMs = this.#readLastTimeMs();
  }

  /** Gives a new archive to an epoch. */
  begin({ epoch, earlier = [], firstSequence, lastSequence }: LogBounds): void {
    this.#transact(() => {
      this.#database
        .prepare(
          `INSERT INTO position (one, epoch, first_sequence, sequence, earlier)
           VALUES (1, ?, ?, ?, ?)`,
        )
        .run(epoch, firstSequence, lastSequence, formatEarlier(earlier));
      if (firstSequence > 1) this.#insertMissing.run(1, firstSequence - 1);
    });
  }

  /** Gives the archive the next epoch of its log. */
  enterEpoch({ epoch, earlier = [] }: Lineage): void {
    this.#transact(() => {
      this.#database
        .prepare('UPDATE position SET epoch = ?, earlier = ?')
        .run(epoch, formatEarlier(earlier));
      this.#erasures.repeatAll();
    });
  }

  /** @throws Error when another process has changed the same file meanwhile */
  appendBatch({ events, missing, through, bounds }: Batch): void {
    this.#transact(() => {
      this.#setLastSequence(bounds, through);
      for (const event of events) this.#insertEvent(event);
      for (const { from, to } of missing) this.#insertMissing.run(from, to);
      this.#noteErasures(events);
      this.#writeCounts();
    });
  }

  /**
   * Writes a part of a missing range, which is then no longer missing.
   *
   * @returns whether all of the part was missing; nothing is written otherwise
   * @throws Error when another process has changed the same file meanwhile
   */
  fillPart({ from, to, events, bounds }: Filling): boolean {
    return this.#transact(() => {
      this.#setLastSequence(bounds, bounds.lastSequence);
      if (!this.#cutMissing({ from, to })) return false;
      this.#database
        .prepare('UPDATE position SET first_sequence = min(first_sequence, ?)')
        .run(from);
      // The other archive may not know of an erasure yet that this one has carried out.
      const kept = events.filter((event) => !this.#erasures.covers(event));
      this.#insertBetween(kept, { before: from, after: to });
      this.#noteErasures(events);
      this.#writeCounts();
      return true;
    });
  }

  /**
   * Removes what is erased, as much as one step may.
   *
   * @returns how many events were removed; 0 where none is left, which is noted
   */
  eraseStep(erasure: KnownErasure): number {
    return this.#transact(() => {
      const sequences = this.#erasures.listStep(erasure);
      this.#erasures.oweNotices(erasure, sequences);
      const removed = removeEvents(this.#database, sequences);
      const state = removed === 0 ? 'stream' : 'archive';
      this.#erasures.note(erasure.record, state, removed);
      this.#clearCaches();
      return removed;
    });
  }

  /**
   * Removes the last part of what lies after a sequence: so much that the loop is free again soon. The
   * archive then ends before that part, so it is exact after each step.
   *
   * @returns how many events were removed, and the archive's last sequence now
   */
  truncateStep(sequence: number, bounds: LogBounds): { removed: number; lastSequence: number } {
    return this.#transact(() => {
      const { removed, lastSequence } = removeAfter(this.#database, sequence);
      this.#erasures.forgetAfter(lastSequence);
      this.#setLastSequence(bounds, lastSequence);
      this.#clearCaches();
      this.#lastTimeMs = this.#readLastTimeMs();
      return { removed, lastSequence };
    });
  }

  /** Removes single events. @returns how many of them there were */
  removeEvents(sequences: readonly number[]): number {
    return this.#transact(() => {
      const removed = removeEvents(this.#database, sequences);
      this.#clearCaches();
      return removed;
    });
  }

  /** Notes the records among events that were just stored. What they erase is no longer missing. */
  #noteErasures(events: readonly IndexedEvent[]): void {
    for (const { sequence: record, erasure } of events) {
      if (!erasure) continue;
      this.#erasures.add(record, erasure);
      for (const sequence of this.#erasures.sequencesOf(record)) {
        this.#cutMissing({ from: sequence, to: sequence });
      }
    }
  }

  /** Takes a part out of a missing range. @returns whether all of it was missing */
  #cutMissing({ from, to }: SequenceRange): boolean {
    const hole = this.#database
      .prepare<[number, number], SequenceRange>(
        `DELETE FROM missing WHERE from_sequence <= ? AND to_sequence >= ?
         RETURNING from_sequence AS "from", to_sequence AS "to"`,
      )
      .get(from, to);
    if (!hole) return false;
    if (hole.from < from) this.#insertMissing.run(hole.from, from - 1);
    if (to < hole.to) this.#insertMissing.run(to + 1, hole.to);
    return true;
  }

  /**
   * Inserts events below others. The archive that they come from may have raised times that this one
   * did not, so each time is brought between those of its neighbours.
   */
  #insertBetween(
    events: readonly IndexedEvent[],
    { before, after }: { readonly before: number; readonly after: number },
  ): void {
    const lowest = this.#database
      .prepare<[number], number>(
        'SELECT time_ms FROM events WHERE sequence < ? ORDER BY sequence DESC LIMIT 1',
      )
      .pluck()
      .get(before);
    const highest = this.#database
      .prepare<[number], number>(
        'SELECT time_ms FROM events WHERE sequence > ? ORDER BY sequence LIMIT 1',
      )
      .pluck()
      .get(after);
    this.#lastTimeMs = lowest ?? 0;
    for (const event of events) {
      this.#insertEvent({ ...event, timeMs: Math.min(event.timeMs, highest ?? event.timeMs) });
    }
    this.#lastTimeMs = this.#readLastTimeMs();
  }

  #insertEvent({ sequence, timeMs, topic, type, source, json, expiresMs }: IndexedEvent): void {
    const { topics, types, sources } = this.#dictionaries;
    // The stream's time steps back when its leader moves to a server whose clock is behind. Reads
    // by time need an order, so such an event gets the time of the one before it.
    this.#lastTimeMs = Math.max(this.#lastTimeMs, timeMs);
    this.#insert.run(
      sequence,
      this.#lastTimeMs,
      topics.countEvent(topic, sequence),
      types.countEvent(type, sequence),
      sources.countEvent(source, sequence),
      json,
    );
    if (expiresMs !== undefined) this.#expiry.add(sequence, expiresMs);
  }

  /** @throws Error when another process has changed the same file meanwhile */
  #setLastSequence({ epoch, lastSequence }: LogBounds, through: number): void {
    if (this.#moveEnd.run(through, epoch, lastSequence).changes === 1) return;
    throw new Error('Another process writes to this archive.');
  }

  #transact<T>(change: () => T): T {
    try {
      return this.#database.transaction(change).immediate();
    } catch (error) {
      // They may name rows, and the time of a row, that were rolled back.
      this.#clearCaches();
      this.#lastTimeMs = this.#readLastTimeMs();
      throw error;
    }
  }

  #writeCounts(): void {
    for (const dictionary of Object.values(this.#dictionaries)) dictionary.writeCounts();
  }

  #clearCaches(): void {
    for (const dictionary of Object.values(this.#dictionaries)) dictionary.clearCache();
  }

  #readLastTimeMs(): number {
    const last = this.#database
      .prepare<[], number>('SELECT time_ms FROM events ORDER BY sequence DESC LIMIT 1')
      .pluck();
    return last.get() ?? 0;
  }
}
