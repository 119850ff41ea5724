/** What is collected, and what it may cost. */
export interface ByteCollectorOptions {
  readonly bytesMax: number;
  /** Called for memory before it is used; what it throws ends the collecting. */
  readonly take?: ((bytes: number) => void) | undefined;
  /** The error of more bytes than the maximum. */
  readonly onFull: () => Error;
}

/**
 * Collects bytes in one buffer, which grows as they come. Kept chunks would cost some 100 bytes each, and a
 * client decides how small they are.
 */
export class ByteCollector {
  readonly #options: ByteCollectorOptions;
  #buffer = Buffer.alloc(0);
  #length = 0;

  constructor(options: ByteCollectorOptions) {
    this.#options = options;
  }

  get length(): number {
    return this.#length;
  }

  /** @throws the error of `onFull`, or what `take` throws; nothing was appended then */
  append(chunk: Buffer): void {
    const { bytesMax, onFull } = this.#options;
    const length = this.#length + chunk.length;
    if (length > bytesMax) throw onFull();
    if (length > this.#buffer.length)
      this.#grow(Math.min(bytesMax, Math.max(length, 2 * this.#length)));
    chunk.copy(this.#buffer, this.#length);
    this.#length = length;
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }

  #grow(size: number): void {
    this.#options.take?.(size - this.#buffer.length);
    const larger = Buffer.allocUnsafe(size);
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
