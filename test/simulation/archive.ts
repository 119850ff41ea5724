import {
  type ArchivedEvent,
  type ArchivePage,
  type ArchiveQuery,
  type ArchiveSource,
  type ArchiveState,
  encodePage,
  type SequenceRange,
} from '@tidemark/nats';
import { matches, TidemarkError } from '@tidemark/protocol';
import type { History, StoredRecord } from './history.ts';

/** What a replay service keeps, with its lag, its holes and its rebuilds. */
export class ModelArchive implements ArchiveSource {
  readonly #history: History;
  #state: ArchiveState | undefined;
  #records: StoredRecord[] = [];
  #missing: SequenceRange[] = [];

  constructor(history: History) {
    this.#history = history;
  }

  get current(): boolean {
    const { epoch, lastSequence } = this.#history.bounds();
    return this.#state?.epoch === epoch && this.#state.lastSequence === lastSequence;
  }

  /** Whether it holds nothing that the stream has lost. */
  get aligned(): boolean {
    const { epoch, lastSequence } = this.#history.bounds();
    return this.#state?.epoch !== epoch || this.#state.lastSequence <= lastSequence;
  }

  /** Whether an event can still be read from it. */
  holds(record: StoredRecord): boolean {
    return this.#records[record.sequence] === record;
  }

  /** Takes up to so many messages of the stream. */
  sync(max: number): void {
    const { epoch, firstSequence, lastSequence } = this.#history.bounds();
    if (this.#state?.epoch !== epoch) this.#begin(epoch, firstSequence);
    this.truncate(lastSequence);
    let position = this.state().lastSequence;
    if (position + 1 < firstSequence) {
      this.#missing.push({ from: position + 1, to: firstSequence - 1 });
      position = firstSequence - 1;
    }
    for (let taken = 0; taken < max; taken++) {
      const record = this.#history.next(position);
      if (!record) {
        position = lastSequence;
        break;
      }
      if (record.valid) this.#records[record.sequence] = record;
      position = record.sequence;
    }
    this.#state = { ...this.state(), lastSequence: position };
  }

  /** The stream lost what follows. */
  truncate(last: number): void {
    const state = this.state();
    if (state.lastSequence <= last) return;
    this.#records.length = Math.min(this.#records.length, last + 1);
    this.#missing = this.#missing
      .filter(({ from }) => from <= last)
      .map(({ from, to }) => ({ from, to: Math.min(to, last) }));
    const firstSequence = Math.min(state.firstSequence, last + 1);
    this.#state = { ...state, firstSequence, lastSequence: last };
  }

  /** Its file is deleted; what it takes next is what the stream then holds. */
  rebuild(): void {
    this.#state = undefined;
    this.#records = [];
    this.#missing = [];
  }

  state(): ArchiveState {
    if (!this.#state) throw new TidemarkError('unavailable', 'The archive is being built.');
    return this.#state;
  }

  read(query: ArchiveQuery): ArchivePage {
    const { epoch, lastSequence } = this.state();
    if (query.epoch !== epoch) throw new TidemarkError('invalid_cursor', 'Another epoch.');
    const { after, eventsMax, bytesMax } = query;
    const last = Math.min(query.through, lastSequence);
    const events: ArchivedEvent[] = [];
    let bytes = 0;
    let through = after;
    while (through < last && events.length < eventsMax && bytes < bytesMax) {
      const record = this.#records[++through];
      if (!record || !query.patterns.some((pattern) => matches(pattern, record.topic))) continue;
      events.push(record);
      bytes += record.json.length;
    }
    const missing = this.#missing
      .filter(({ from, to }) => to > after && from <= through)
      .map(({ from, to }) => ({ from: Math.max(from, after + 1), to: Math.min(to, through) }));
    return { events, through, missing };
  }

  sequenceAt(timeMs: number): number {
    const first = this.#records.findIndex((record) => record !== undefined);
    const found = this.#records.findIndex((record) => record && record.timeMs >= timeMs);
    if (found === -1) return Math.max(0, this.#records.length - 1);
    return found === first ? 0 : found - 1;
  }

  #begin(epoch: string, firstSequence: number): void {
    this.rebuild();
    this.#state = { epoch, firstSequence, lastSequence: firstSequence - 1 };
    if (firstSequence > 1) this.#missing.push({ from: 1, to: firstSequence - 1 });
  }
}

/** Answers a request as `serveArchive` does. */
export function answerArchive(source: ArchiveSource, subject: string, body: string): Uint8Array {
  const operation = subject.slice(subject.lastIndexOf('.') + 1);
  try {
    if (operation === 'read') {
      const page = source.read(JSON.parse(body) as ArchiveQuery);
      return encodePage({ state: source.state(), ...page });
    }
    if (operation === 'state') return Buffer.from(JSON.stringify(source.state()));
    const { timeMs } = JSON.parse(body) as { timeMs: number };
    return Buffer.from(JSON.stringify({ sequence: source.sequenceAt(timeMs) }));
  } catch (error) {
    if (!(error instanceof TidemarkError)) throw error;
    const { code, message } = error;
    return Buffer.from(JSON.stringify({ error: { code, message } }));
  }
}
