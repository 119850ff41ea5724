/** Pauses that grow from try to try, up to a limit. */
export class Backoff {
  readonly #firstMs: number;
  readonly #maxMs: number;
  #nextMs: number;

  constructor(maxMs: number, firstMs = 100) {
    this.#firstMs = Math.min(firstMs, maxMs);
    this.#maxMs = maxMs;
    this.#nextMs = this.#firstMs;
  }

  /** The pause before the next try: half of it is random, so that relays that fail together come back apart. */
  nextMs(random = Math.random()): number {
    const ms = this.#nextMs;
    this.#nextMs = Math.min(ms * 2, this.#maxMs);
    return ms / 2 + (random * ms) / 2;
  }

  reset(): void {
    this.#nextMs = this.#firstMs;
  }
}
