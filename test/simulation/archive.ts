import { type ArchivePage, type ArchiveSource, answerArchive } from '@tidemark/nats';
import {
  type ArchivedEvent,
  type ArchiveHoldings,
  type ArchiveQuery,
  type LogBounds,
  matches,
  type SequenceRange,
  TidemarkError,
} from '@tidemark/protocol';
import type { History, StoredRecord } from './history.ts';

/** A model of the archive of a replay service, with its lag, its missing ranges and its rebuilds. */
export class ModelArchive implements ArchiveSource {
  readonly #history: History;
  #bounds: LogBounds | undefined;
  #records: StoredRecord[] = [];
  #missing: SequenceRange[] = [];
  /** The last sequence that it has received, written or not. */
  #received = 0;

  constructor(history: History) {
    this.#history = history;
  }

  /** Whether the stream has messages that it has not received. */
  get behind(): boolean {
    const { epoch, lastSequence } = this.#history.bounds();
    return this.#bounds?.epoch !== epoch || this.#received !== lastSequence;
  }

  /** Whether it has received messages that cannot be read yet. */
  get writing(): boolean {
    return this.#bounds !== undefined && this.#received > this.#bounds.lastSequence;
  }

  /** Whether it holds no event that the stream has lost. */
  get aligned(): boolean {
    const { epoch, lastSequence } = this.#history.bounds();
    return this.#bounds?.epoch !== epoch || this.#received <= lastSequence;
  }

  /** Whether an event can be read from it now, or once it is written. */
  holds(record: StoredRecord): boolean {
    return this.#records[record.sequence] === record;
  }

  /** Receives up to `max` messages of the stream. They can be read once they are written. */
  receive(max: number): void {
    const { epoch, firstSequence, lastSequence } = this.#history.bounds();
    if (this.#bounds?.epoch !== epoch) this.#begin(epoch, firstSequence);
    this.#truncate(lastSequence);
    for (let taken = 0; taken < max && this.#received < lastSequence; taken++) {
      const record = this.#history.next(this.#received);
      const next = record?.sequence ?? lastSequence + 1;
      const from = this.#received + 1;
      // Nothing is deleted from the middle of the real stream, so every jump comes from retention.
      if (from < firstSequence) this.#missing.push({ from, to: Math.min(next, firstSequence) - 1 });
      if (record?.valid) this.#records[record.sequence] = record;
      this.#received = record ? next : lastSequence;
    }
  }

  write(): void {
    this.#bounds = { ...this.bounds(), lastSequence: this.#received };
  }

  /** Loses its feed, and with it the messages that were not written. */
  lose(): void {
    if (!this.#bounds) return;
    this.#received = this.#bounds.lastSequence;
    this.#cut(this.#received);
  }

  /** Removes the events after a sequence, which the stream has lost. */
  #truncate(last: number): void {
    const bounds = this.bounds();
    if (this.#received <= last) return;
    this.#received = last;
    this.#cut(last);
    if (bounds.lastSequence <= last) return;
    const firstSequence = Math.min(bounds.firstSequence, last + 1);
    this.#bounds = { ...bounds, firstSequence, lastSequence: last };
  }

  #cut(last: number): void {
    this.#records.length = Math.min(this.#records.length, last + 1);
    this.#missing = this.#missing
      .filter(({ from }) => from <= last)
      .map(({ from, to }) => ({ from, to: Math.min(to, last) }));
  }

  /** Deletes its file. It then reads again what the stream holds. */
  rebuild(): void {
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
    const last = Math.min(query.through, lastSequence);
    const events: ArchivedEvent[] = [];
    let bytes = 0;
    let through = after;
    while (through < last && events.length < eventsMax && bytes < bytesMax) {
      const record = this.#records[++through];
      if (!record || !query.patterns.some((pattern) => matches(pattern, record.topic))) continue;
      events.push({ ...record, json: record.json.toString() });
      bytes += record.json.length;
    }
    const missing = this.#missing
      .filter(({ from, to }) => to > after && from <= through)
      .map(({ from, to }) => ({ from: Math.max(from, after + 1), to: Math.min(to, through) }));
    return { events, through, missing };
  }

  sequenceBefore(timeMs: number): number {
    const first = this.#records.findIndex((record) => record !== undefined);
    const { lastSequence } = this.bounds();
    const found = this.#records.findIndex((record) => record && record.timeMs >= timeMs);
    if (found === -1 || found > lastSequence) return first === -1 ? 0 : lastSequence;
    return found === first ? 0 : found - 1;
  }

  #begin(epoch: string, firstSequence: number): void {
    this.rebuild();
    this.#bounds = { epoch, firstSequence, lastSequence: firstSequence - 1 };
    this.#received = firstSequence - 1;
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
