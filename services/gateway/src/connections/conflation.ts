import type { EventHeader } from '@tidemark/protocol';
import { EventEntry } from '../log/event-entry.ts';

/** Most topics at a time. At this number the reader writes the kept events and starts again. */
export const CONFLATED_TOPICS_MAX = 1024;

/** Bytes of JSON kept at a time. The reader does the same at this size. */
const CONFLATED_BYTES_MAX = 4 * 1024 * 1024;

/** Skipped events kept for counting. The reader does the same at this number. */
const SKIPPED_MAX = 65_536;

/** An event that was skipped in favour of a newer one of its topic. */
export type SkippedEvent = Pick<EventHeader, 'sequence' | 'topic'>;

/**
 * Conflation: keeps the newest event of each topic in a part of the log, for subscriptions with
 * `deliver: "latest"` that are behind. It exists only while the socket takes bytes. Events that were not
 * written by then are read again from the reader's position.
 */
export class Conflation {
  // A topic that repeats moves to the end, which keeps stream order.
  readonly #entries = new Map<string, EventEntry>();
  readonly #skipped: SkippedEvent[] = [];
  #bytes = 0;
  #through: number;

  constructor(after: number) {
    this.#through = after;
  }

  /** The last sequence that was examined. */
  get through(): number {
    return this.#through;
  }

  get size(): number {
    return this.#entries.size;
  }

  get full(): boolean {
    if (this.#bytes >= CONFLATED_BYTES_MAX) return true;
    return this.#entries.size >= CONFLATED_TOPICS_MAX || this.#skipped.length >= SKIPPED_MAX;
  }

  /** In stream order. */
  get entries(): readonly EventEntry[] {
    return [...this.#entries.values()];
  }

  /** Events that were skipped for a newer one of their topic, in the order of the newer ones. */
  get skipped(): readonly SkippedEvent[] {
    return this.#skipped;
  }

  /** @param isShared whether entries are views of a page; a kept view would retain the whole page */
  addEntries(entries: readonly EventEntry[], through: number, isShared: boolean): void {
    for (const entry of entries) {
      const older = this.#entries.get(entry.topic);
      if (older) {
        this.#entries.delete(entry.topic);
        this.#bytes -= older.json.length;
        this.#skipped.push({ sequence: older.sequence, topic: older.topic });
      }
      this.#entries.set(entry.topic, entry);
      this.#bytes += entry.json.length;
    }
    this.#through = through;
    if (!isShared) return;
    for (const entry of entries) {
      if (this.#entries.get(entry.topic) === entry) this.#entries.set(entry.topic, copyOf(entry));
    }
  }
}

function copyOf(entry: EventEntry): EventEntry {
  const { epoch, sequence, topic, timeMs, json, deliveryTrace } = entry;
  return new EventEntry(
    epoch,
    { sequence, topic, timeMs, json: new Uint8Array(json) },
    deliveryTrace,
  );
}
