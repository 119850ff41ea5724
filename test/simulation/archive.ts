import { type ArchivePage, type ArchiveSource, answerArchive } from '@tidemark/nats';
import {
  type ArchivedEvent,
  type ArchiveQuery,
  type LogBounds,
  matches,
  type SequenceRange,
  TidemarkError,
} from '@tidemark/protocol';
import type { History, StoredRecord } from './history.ts';

/** What a replay service keeps, with its lag, its holes and its rebuilds. */
export class ModelArchive implements ArchiveSource {
  readonly #history: History;
  #bounds: LogBounds | undefined;
  #records: StoredRecord[] = [];
  #missing: SequenceRange[] = [];
  /** Up to here it has received, written or not. */
  #received = 0;

  constructor(history: History) {
    this.#history = history;
  }

  /** Whether there is something to receive. */
  get behind(): boolean {
    const { epoch, lastSequence } = this.#history.bounds();
    return this.#bounds?.epoch !== epoch || this.#received !== lastSequence;
  }

  /** Whether something was received and is not readable yet. */
  get writing(): boolean {
    return this.#bounds !== undefined && this.#received > this.#bounds.lastSequence;
  }

  /** Whether it holds nothing that the stream has lost. */
  get aligned(): boolean {
    const { epoch, lastSequence } = this.#history.bounds();
    return this.#bounds?.epoch !== epoch || this.#received <= lastSequence;
  }

  /** Whether an event can be read from it, now or soon. */
  holds(record: StoredRecord): boolean {
    return this.#records[record.sequence] === record;
  }

  /** Takes up to so many messages of the stream; they can be read once they are written. */
  receive(max: number): void {
    const { epoch, firstSequence, lastSequence } = this.#history.bounds();
    if (this.#bounds?.epoch !== epoch) this.#begin(epoch, firstSequence);
    this.#truncate(lastSequence);
    for (let taken = 0; taken < max && this.#received < lastSequence; taken++) {
      const record = this.#history.next(this.#received);
      const next = record?.sequence ?? lastSequence + 1;
      const from = this.#received + 1;
      // In a stream of which nothing is deleted, as the real one, every jump is retention's.
      if (from < firstSequence) this.#missing.push({ from, to: Math.min(next, firstSequence) - 1 });
      if (record?.valid) this.#records[record.sequence] = record;
      this.#received = record ? next : lastSequence;
    }
  }

  write(): void {
    this.#bounds = { ...this.bounds(), lastSequence: this.#received };
  }

  /** Its feed is lost, and with it what was not written. */
  lose(): void {
    if (!this.#bounds) return;
    this.#received = this.#bounds.lastSequence;
    this.#cut(this.#received);
  }

  /** The stream lost what follows. */
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

  /** Its file is deleted; what it takes next is what the stream then holds. */
  rebuild(): void {
    this.#bounds = undefined;
    this.#records = [];
    this.#missing = [];
    this.#received = 0;
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
