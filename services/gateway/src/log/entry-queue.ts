import type { EventEntry } from './event-entry.ts';

/**
 * Removed items at the front of the array before it is cut, where they are half of it. Cutting is cheap on
 * average, and hundreds of thousands of topics have such a queue.
 */
const DEAD_MAX = 16;

/** Entries in ascending sequence: appended at the end, removed at the front, found by bisection. */
export class EntryQueue {
  #items: (EventEntry | undefined)[] = [];
  #start = 0;

  get length(): number {
    return this.#items.length - this.#start;
  }

  get first(): EventEntry | undefined {
    return this.#items[this.#start];
  }

  get last(): EventEntry | undefined {
    return this.length === 0 ? undefined : this.#items.at(-1);
  }

  at(index: number): EventEntry | undefined {
    return this.#items[this.#start + index];
  }

  /** The entries with a higher sequence. */
  after(sequence: number): EventEntry[] {
    return this.#items.slice(this.#start + this.indexAfter(sequence)) as EventEntry[];
  }

  push(entry: EventEntry): void {
    // An array that grows from nothing has room for 17 items, and most topics have one or two.
    if (this.#items.length === 0) this.#items = [entry];
    else this.#items.push(entry);
  }

  /** Puts older entries, in ascending sequence, before all others. */
  prepend(entries: readonly EventEntry[]): void {
    if (this.#start < entries.length) this.#makeRoom(entries.length);
    this.#start -= entries.length;
    for (let index = 0; index < entries.length; index++) {
      this.#items[this.#start + index] = entries[index];
    }
  }

  /** Puts an entry in the place of the one with its sequence, which must be there. */
  replace(entry: EventEntry): void {
    this.#items[this.#start + this.indexAfter(entry.sequence - 1)] = entry;
  }

  shift(): EventEntry | undefined {
    const first = this.first;
    if (!first) return undefined;
    this.#items[this.#start++] = undefined;
    if (this.#start === this.#items.length) this.clear();
    else if (this.#start >= DEAD_MAX && this.#start * 2 >= this.#items.length) {
      this.#items = this.#items.slice(this.#start);
      this.#start = 0;
    }
    return first;
  }

  clear(): void {
    this.#items = [];
    this.#start = 0;
  }

  /** The index of the first entry with a higher sequence; `length` when there is none. */
  indexAfter(sequence: number): number {
    return this.#bisect((entry) => entry.sequence > sequence);
  }

  /** The index of the first entry stored at that time or later; `length` when there is none. */
  indexAtTime(timeMs: number): number {
    return this.#bisect((entry) => entry.timeMs >= timeMs);
  }

  /** Makes room at the front, and as much again as there is, so that a tail that is filled block by block is not copied for each. */
  #makeRoom(count: number): void {
    const room = count + (this.length < DEAD_MAX ? 0 : this.length);
    const items = new Array<EventEntry | undefined>(room).fill(undefined);
    this.#items = items.concat(this.#items.slice(this.#start));
    this.#start = room;
  }

  #bisect(isBeyond: (entry: EventEntry) => boolean): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const entry = this.at(middle);
      if (!entry || isBeyond(entry)) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
