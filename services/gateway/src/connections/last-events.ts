/**
 * The last events that a subscription has yet to receive before the events after its start (PROTOCOL.md section
 * 4.2): their sequences, and how far it has come. A subscription whose socket is full holds this and no event.
 */
export class LastEvents {
  readonly #sequences: Float64Array;
  readonly #release: () => void;
  #next = 0;

  /**
   * @param sequences in ascending order
   * @param release gives back the memory of the list
   */
  constructor(sequences: readonly number[], release: () => void) {
    this.#sequences = Float64Array.from(sequences);
    this.#release = release;
  }

  /** Memory of a list of so many sequences. */
  static bytesOf(sequences: readonly number[]): number {
    return sequences.length * Float64Array.BYTES_PER_ELEMENT;
  }

  /** Whether all were written. */
  get complete(): boolean {
    return this.#next === this.#sequences.length;
  }

  /** The next ones to read, at most `max`. */
  peek(max: number): number[] {
    return [...this.#sequences.subarray(this.#next, this.#next + max)];
  }

  /** Everything up to a sequence was written. */
  advance(through: number): void {
    while (!this.complete && (this.#sequences[this.#next] ?? 0) <= through) this.#next++;
  }

  release(): void {
    this.#release();
  }
}
