import type { Erasure } from '@tidemark/protocol';
import type { EventEntry } from './event-entry.ts';

/**
 * The erasures that are known of while a tail is filled. The stream may still have what they name, because the
 * service that removes it may be behind their records.
 */
export class KnownErasures {
  readonly #sequences = new Set<number>();
  /** The last record of each topic that was erased. */
  readonly #topics = new Map<string, number>();

  /** @param record the sequence of the record of the erasure */
  add({ topic, sequences }: Erasure, record: number): void {
    if (topic === undefined) for (const sequence of sequences) this.#sequences.add(sequence);
    else this.#topics.set(topic, Math.max(record, this.#topics.get(topic) ?? 0));
  }

  /** Whether one of them erases the event. */
  cover({ sequence, topic }: EventEntry): boolean {
    return this.#sequences.has(sequence) || sequence < (this.#topics.get(topic) ?? 0);
  }
}
