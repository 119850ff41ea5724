import { beyond, from, type Range, type Slice, type StoredRow, type Window } from './windows.ts';

/** Gathers the rows of one step up to the window's limits. */
export class Take {
  readonly #window: Window;
  readonly #rows: StoredRow[] = [];
  #bytes = 0;
  #rest: Range | undefined;

  constructor(window: Window) {
    this.#window = window;
  }

  /** @returns whether there is room for more; a row that did not fit belongs to what remains */
  add(row: StoredRow): boolean {
    const { order, eventsMax, bytesMax } = this.#window;
    this.#bytes += Buffer.byteLength(row.json);
    if (this.#bytes > bytesMax && this.#rows.length > 0) {
      this.#rest = from(this.#window, row.sequence, order);
      return false;
    }
    this.#rows.push(row);
    if (this.#rows.length === eventsMax) this.#rest = beyond(this.#window, row.sequence, order);
    return this.#rest === undefined;
  }

  /** @param rest what remains of the window, where no limit was reached before */
  slice(rest: Range): Slice {
    return { rows: this.#rows, remaining: this.#rest ?? rest };
  }
}
