import { type ArchivePage, type ArchiveSource, answerArchive } from '@tidemark/nats';
import {
  type ArchivedEvent,
  type ArchiveHoldings,
  type ArchiveQuery,
  type EventsQuery,
  type LastAnswer,
  type LastQuery,
  type LogBounds,
  matches,
  type NewestQuery,
  type NewestStep,
  type SequenceRange,
  TidemarkError,
  TypeFilter,
  toPresent,
} from '@tidemark/protocol';
import type { History } from './history.ts';
import type { StoredRecord } from './versions.ts';
import { ensure } from './violation.ts';

/** Sequences that one page looks at, at most. */
const LOOKED_MAX = 500;

/** A model of the archive of a replay service, with its lag, its missing ranges and its rebuilds. */
export class ModelArchive implements ArchiveSource {
  readonly #history: History;
  /** Whether its service is of a version that knows no filter by types. */
  readonly #ignoresTypes: boolean;
  readonly #isElsewhere: (range: SequenceRange) => boolean;
  #bounds: LogBounds | undefined;
  /** Whether it follows the stream. */
  #open = false;
  #records: (StoredRecord | undefined)[] = [];
  #missing: SequenceRange[] = [];
  /** The last sequence that it has received, written or not. */
  #received = 0;

  constructor(
    history: History,
    ignoresTypes: boolean,
    isElsewhere: (range: SequenceRange) => boolean,
  ) {
    this.#history = history;
    this.#ignoresTypes = ignoresTypes;
    this.#isElsewhere = isElsewhere;
  }

  /** Whether it has any event of a range, readable or not. */
  holdsAny({ from, to }: SequenceRange): boolean {
    return this.#records.slice(from, to + 1).some((record) => record !== undefined);
  }

  /** Whether it belongs to an epoch. */
  get begun(): boolean {
    return this.#bounds !== undefined;
  }

  /** Whether it follows the stream. */
  get open(): boolean {
    return this.#open;
  }

  /** Whether the stream has messages that it has not received. */
  get behind(): boolean {
    return this.#open && this.#history.next(this.#received) !== undefined;
  }

  /** The last sequence that can be read; 0 without one. */
  get end(): number {
    return this.#bounds?.lastSequence ?? 0;
  }

  /** The sequence of the first event that it holds and the log has lost; infinity without one. */
  get lostFrom(): number {
    return this.#records.find((record) => record?.lost)?.sequence ?? Number.POSITIVE_INFINITY;
  }

  /** Whether it has received messages that cannot be read yet. */
  get writing(): boolean {
    return this.#bounds !== undefined && this.#received > this.#bounds.lastSequence;
  }

  /** The event that it has at a sequence. */
  findRecord(sequence: number): StoredRecord | undefined {
    return this.#records[sequence];
  }

  /** Whether an event can be read from it now, or once it is written. */
  holds(record: StoredRecord): boolean {
    return this.#records[record.sequence] === record;
  }

  /** Prepares it for a start of the feed, as `ArchiveStore.alignWith` does. */
  align(stream: LogBounds): void {
    const found = this.#bounds;
    const isShorter = found?.epoch === stream.epoch && found.lastSequence > stream.lastSequence;
    ensure(!isShorter, 'archive', () => `the archive is beyond ${stream.lastSequence}`);
    const end = found && { epoch: found.epoch, sequence: found.lastSequence };
    const shared = end && toPresent(stream, end);
    if (shared) this.#enterEpoch(stream, Math.min(shared.sequence, stream.lastSequence));
    else this.#begin(stream);
    this.#checkEvents();
    this.#open = true;
  }

  /**
   * Receives up to `max` messages of the stream. They can be read once they are written.
   *
   * @returns the last sequence that it has received
   */
  receive(max: number): number {
    for (let taken = 0; taken < max; taken++) {
      const record = this.#history.next(this.#received);
      if (!record) break;
      // Nothing is deleted from the middle of the real stream, so every jump comes from retention.
      const from = this.#received + 1;
      const to = Math.min(record.sequence, this.#history.firstSequence) - 1;
      if (from <= to) this.#missing.push({ from, to });
      if (record.valid) this.#records[record.sequence] = record;
      this.#received = record.sequence;
    }
    return this.#received;
  }

  write(): void {
    const written = this.end;
    this.#bounds = { ...this.bounds(), lastSequence: this.#received };
    // What a record names is no longer missing.
    for (const { sequence, erasedBy } of this.#history.erased) {
      if (erasedBy && erasedBy.sequence > written && this.isErased(sequence)) {
        this.#missing = this.#missing.flatMap((hole) => without(hole, sequence));
      }
    }
  }

  /** Whether it has read the record that erases an event of the present log. */
  isErased(sequence: number): boolean {
    return this.#erased.some((record) => record.sequence === sequence);
  }

  /** Removes what it has and what a record erases. @returns whether there was anything */
  erase(): boolean {
    const held = this.#erased.filter((record) => this.holds(record));
    for (const { sequence } of held) this.#records[sequence] = undefined;
    return held.length > 0;
  }

  /** An erased event that it has removed, and the stream has not. */
  get undeleted(): StoredRecord | undefined {
    return this.#erased.find((record) => !record.deleted && !this.holds(record));
  }

  get #erased(): StoredRecord[] {
    if (!this.#bounds) return [];
    return this.#history.erased.filter(({ erasedBy }) => {
      return erasedBy && erasedBy.sequence <= this.end && this.holds(erasedBy);
    });
  }

  /** Loses its feed, and with it the messages that were not written. */
  lose(): void {
    this.#open = false;
    if (!this.#bounds) return;
    this.#received = this.#bounds.lastSequence;
    this.#cut(this.#received);
  }

  /** The last event of a range. */
  lastEvent({
    after,
    through,
  }: {
    readonly after: number;
    readonly through: number;
  }): ArchivedEvent | undefined {
    for (
      let sequence = Math.min(through, this.bounds().lastSequence);
      sequence > after;
      sequence--
    ) {
      const record = this.#records[sequence];
      if (record) return { ...record, json: record.json.toString() };
    }
    return undefined;
  }

  #enterEpoch({ epoch, earlier, firstSequence }: LogBounds, last: number): void {
    const { firstSequence: first, lastSequence } = this.bounds();
    const through = Math.min(lastSequence, last);
    this.#cut(through);
    this.#received = Math.max(through, firstSequence - 1);
    if (through < this.#received) this.#missing.push({ from: through + 1, to: this.#received });
    this.#bounds = {
      epoch,
      ...(earlier && { earlier }),
      firstSequence: Math.min(first, through + 1),
      lastSequence: this.#received,
    };
  }

  /** Checks that it has the same events as the stream, up to its end. */
  #checkEvents(): void {
    const { lastSequence } = this.bounds();
    const lost = this.#records.find((record) => record?.lost);
    ensure(!lost, 'archive', () => `the archive keeps ${lost?.sequence}, which the log has lost`);
    for (let after = 0; ; ) {
      const record = this.#history.next(after);
      if (!record || record.sequence > lastSequence) break;
      after = record.sequence;
      const has = this.holds(record) || this.isErased(after);
      ensure(!record.valid || has, 'archive', () => `the archive lacks ${after}`);
    }
  }

  #cut(last: number): void {
    this.#records.length = Math.min(this.#records.length, last + 1);
    this.#missing = this.#missing
      .filter(({ from }) => from <= last)
      .map(({ from, to }) => ({ from, to: Math.min(to, last) }));
  }

  /** Deletes its file. It then reads again what the stream holds. */
  rebuild(): void {
    this.#open = false;
    this.#bounds = undefined;
    this.#records = [];
    this.#missing = [];
    this.#received = 0;
  }

  holdings(): ArchiveHoldings | undefined {
    return this.#bounds && { ...this.#bounds, missing: this.#missing };
  }

  bounds(): LogBounds {
    if (!this.#bounds) throw new TidemarkError('unavailable', 'The archive is being built.');
    return this.#bounds;
  }

  readPage(query: ArchiveQuery): ArchivePage<ArchivedEvent> {
    const { epoch, lastSequence } = this.bounds();
    if (query.epoch !== epoch) throw new TidemarkError('invalid_cursor', 'Another epoch.');
    const { after, eventsMax, bytesMax } = query;
    const last = Math.min(query.through, lastSequence, after + LOOKED_MAX);
    const types = new TypeFilter((!this.#ignoresTypes && query.types) || ['*']);
    const events: ArchivedEvent[] = [];
    let bytes = 0;
    let through = after;
    while (through < last && events.length < eventsMax && bytes < bytesMax) {
      const record = this.#records[++through];
      if (!record || !query.patterns.some((pattern) => matches(pattern, record.topic))) continue;
      if (!types.accepts(record.type)) continue;
      events.push({ ...record, json: record.json.toString() });
      bytes += record.json.length;
    }
    const missing = this.#missing
      .filter(({ from, to }) => to > after && from <= through)
      .map(({ from, to }) => ({ from: Math.max(from, after + 1), to: Math.min(to, through) }));
    return { events, through, missing };
  }

  findNewest(query: NewestQuery): NewestStep {
    const { epoch, lastSequence } = this.bounds();
    if (query.epoch !== epoch) throw new TidemarkError('invalid_cursor', 'Another epoch.');
    if (query.through > lastSequence) throw new TidemarkError('unavailable', 'Not reached yet.');
    const isWanted = (record: StoredRecord | undefined) =>
      record && query.patterns.some((pattern) => matches(pattern, record.topic));
    let sequence = query.through;
    while (sequence > 0 && !isWanted(this.#records[sequence])) sequence--;
    return { sequence, next: null };
  }

  findLast({ epoch, patterns, types, reach, through, place }: LastQuery): LastAnswer {
    const { epoch: own, lastSequence } = this.bounds();
    if (epoch !== own) throw new TidemarkError('invalid_cursor', 'Another epoch.');
    const asOf = through ?? lastSequence;
    if (Math.max(reach, asOf) > lastSequence) {
      throw new TidemarkError('unavailable', 'Not reached yet.');
    }
    const lacked = this.#missing
      .filter(({ from }) => from <= asOf)
      .map(({ from, to }) => ({ from, to: Math.min(to, asOf) }));
    if (lacked.some(this.#isElsewhere)) throw new TidemarkError('unavailable', 'Elsewhere.');
    // One of a version that knows no filter by types does not know this request either.
    if (this.#ignoresTypes) throw new TidemarkError('not_found', 'No operation last.');
    const filter = new TypeFilter(types ?? ['*']);
    const newest = new Map<string, number>();
    for (let sequence = 1; sequence <= asOf; sequence++) {
      const record = this.#records[sequence];
      if (!record || !patterns.some((pattern) => matches(pattern, record.topic))) continue;
      if (filter.accepts(record.type)) newest.set(record.topic, sequence);
    }
    // One topic in a step, so that the archive grows between two of them.
    const [topic, next] = [...newest.keys()].sort().filter((name) => name > place.topic);
    const sequence = topic === undefined ? undefined : newest.get(topic);
    const missing = through === undefined ? lacked : [];
    return {
      through: asOf,
      sequences: sequence === undefined ? [] : [sequence],
      missing,
      next: topic === undefined || next === undefined ? null : { topic },
    };
  }

  readEvents({ epoch, sequences }: EventsQuery): ArchivePage<ArchivedEvent> {
    const { epoch: own, lastSequence } = this.bounds();
    if (epoch !== own) throw new TidemarkError('invalid_cursor', 'Another epoch.');
    const through = sequences.at(-1) ?? 0;
    if (through > lastSequence) throw new TidemarkError('unavailable', 'Not reached yet.');
    const events = sequences.flatMap((sequence) => {
      const record = this.#records[sequence];
      return record ? [{ ...record, json: record.json.toString() }] : [];
    });
    const missing = this.#missing.filter(({ from, to }) =>
      sequences.some((one) => from <= one && one <= to),
    );
    return { events, through, missing };
  }

  sequenceBefore(timeMs: number): number {
    let sequence = this.bounds().lastSequence;
    while (sequence > 0 && (this.#records[sequence]?.timeMs ?? timeMs) >= timeMs) sequence--;
    return sequence;
  }

  #begin({ epoch, earlier, firstSequence }: LogBounds): void {
    this.rebuild();
    const lastSequence = firstSequence - 1;
    this.#bounds = { epoch, ...(earlier && { earlier }), firstSequence, lastSequence };
    this.#received = lastSequence;
    if (firstSequence > 1) this.#missing.push({ from: 1, to: firstSequence - 1 });
  }
}

/** Answers a request as `serveArchive` does. */
export function respond(source: ArchiveSource, subject: string, body: string): Uint8Array {
  try {
    const answer = answerArchive(source, { subject, body });
    return typeof answer === 'string' ? Buffer.from(answer) : answer;
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    const { code, message } = error;
    return Buffer.from(JSON.stringify({ error: { code, message } }));
  }
}

/** A range without one sequence. */
function without({ from, to }: SequenceRange, sequence: number): SequenceRange[] {
  if (sequence < from || sequence > to) return [{ from, to }];
  const parts = [
    { from, to: sequence - 1 },
    { from: sequence + 1, to },
  ];
  return parts.filter((part) => part.from <= part.to);
}
