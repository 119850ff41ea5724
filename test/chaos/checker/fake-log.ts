import type { EarlierEpoch, Position } from '@tidemark/protocol';
import { formatCursor, toPresent } from '@tidemark/protocol';
import type { FinalRecord, StoredEvent } from '../history.ts';

type Entry = Omit<StoredEvent, 'kind' | 'store'>;

const EPOCH = 'm4x1k2';
const ARCHIVES = ['replay-1', 'replay-2'];

/** A log that behaves as PROTOCOL.md says: it stores, expires, and loses its end. */
export class FakeLog {
  epoch = EPOCH;
  earlier: readonly EarlierEpoch[] = [];
  lastSequence = 0;
  /** No store has the events up to this sequence any more. */
  goneThrough = 0;
  /** The stream has no event up to this sequence; the archives have those that are not gone. */
  leftThrough = 0;
  readonly #entries: Entry[] = [];
  readonly #byId = new Map<string, Entry>();

  cursor(sequence: number): string {
    return formatCursor({ epoch: this.epoch, sequence });
  }

  locate(position: Position) {
    return toPresent(this, position) ?? { sequence: 0, lost: false };
  }

  find(id: string): Entry | undefined {
    return this.#byId.get(id);
  }

  lastOf(topic: string): number {
    return this.#entries.findLast((entry) => entry.topic === topic)?.sequence ?? 0;
  }

  append(topic: string, id: string, timeMs: number): Entry {
    const entry = { sequence: ++this.lastSequence, topic, id, timeMs };
    this.#entries.push(entry);
    this.#byId.set(id, entry);
    return entry;
  }

  /** The events of a range that a store still has. */
  range(after: number, through = this.lastSequence): readonly Entry[] {
    const first = Math.max(after, this.goneThrough);
    return this.#entries.slice(this.#indexOf(first + 1), this.#indexOf(through + 1));
  }

  /** Retention removes events from the stream, and the archives never had them. */
  expire(through: number): void {
    this.goneThrough = Math.max(this.goneThrough, through);
    this.leftThrough = Math.max(this.leftThrough, through);
  }

  /** Retention removes events from the stream alone. */
  leaveStream(through: number): void {
    this.leftThrough = Math.max(this.leftThrough, through);
  }

  loseEnd(through: number): void {
    const shared = this.earlier.map((one) => ({ ...one, through: Math.min(one.through, through) }));
    this.earlier = [...shared, { epoch: this.epoch, through }];
    this.epoch = `${EPOCH}.x${this.earlier.length}`;
    for (const { id } of this.#entries.splice(this.#indexOf(through + 1))) this.#byId.delete(id);
    this.lastSequence = through;
  }

  *final(): Iterable<FinalRecord> {
    const { epoch, earlier, lastSequence, leftThrough, goneThrough } = this;
    for (const store of ['stream', ...ARCHIVES]) {
      const first = store === 'stream' ? leftThrough : goneThrough;
      yield { kind: 'store', store, epoch, earlier, firstSequence: first + 1, lastSequence };
      for (const entry of this.range(first)) yield { kind: 'stored', store, ...entry };
    }
  }

  /** Sequences have no holes, so an index follows from each. */
  #indexOf(sequence: number): number {
    return Math.max(0, sequence - 1);
  }
}
