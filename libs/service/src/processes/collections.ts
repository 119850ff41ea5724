import { COLLECT_MS } from './messages.ts';
import type { Slot } from './slot.ts';

interface Collection {
  readonly waiting: Set<Slot>;
  readonly texts: string[];
  readonly done: () => void;
}

/** What one process asked for. */
export interface CollectOptions {
  readonly asker: Slot;
  /** The number that the asker gave it. */
  readonly id: number;
  /** The others, of which those that listen are asked. */
  readonly others: readonly Slot[];
  /** The metrics of the parent. */
  readonly own: string;
}

/** Collections of metrics: each asks all processes but one, and answers that one. */
export class Collections {
  readonly #open = new Map<number, Collection>();
  #last = 0;

  /** Answers when all have, after `COLLECT_MS` at most. */
  begin({ asker, id: askersId, others, own }: CollectOptions): void {
    const id = ++this.#last;
    const waiting = new Set(others.filter(({ started }) => started));
    const texts = [own];
    const done = () => {
      clearTimeout(timer);
      if (this.#open.delete(id)) asker.send({ is: 'collected', id: askersId, texts });
    };
    const timer = setTimeout(done, COLLECT_MS);
    this.#open.set(id, { waiting, texts, done });
    for (const slot of waiting) slot.send({ is: 'collect', id });
    if (waiting.size === 0) done();
  }

  /** Takes the metrics of one process. */
  add(slot: Slot, id: number, text: string): void {
    const collection = this.#open.get(id);
    collection?.texts.push(text);
    this.#remove(slot, collection);
  }

  /** No longer waits for a process that ended. */
  leaveOut(slot: Slot): void {
    for (const collection of this.#open.values()) this.#remove(slot, collection);
  }

  #remove(slot: Slot, collection: Collection | undefined): void {
    if (collection?.waiting.delete(slot) && collection.waiting.size === 0) collection.done();
  }
}
