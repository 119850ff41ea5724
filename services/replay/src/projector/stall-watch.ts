/** How long the archive may stand still behind the stream before the projection counts as stalled. */
const STALLED_MS = 15_000;

/** Time without an observation after which the wait begins anew: NATS was away. */
const UNOBSERVED_MS = 6000;

/**
 * Tells a projection that stands still, although the stream has more, from one that is only behind. It
 * covers every cause: a feed that does not start, an archive that cannot be written, a fault of our own.
 * While NATS is away nothing is observed, and the last verdict stays.
 */
export class StallWatch {
  readonly #nowMs: () => number;
  #position = -1;
  /** When the archive last moved or was not behind. */
  #movedMs = Number.NEGATIVE_INFINITY;
  #observedMs = Number.NEGATIVE_INFINITY;
  #stalled = false;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
  }

  get stalled(): boolean {
    return this.#stalled;
  }

  /** Compares the archive with the stream, to be called every few seconds while the stream answers. */
  observe(position: number, streamEnd: number): void {
    const nowMs = this.#nowMs();
    const moved = position !== this.#position || position >= streamEnd;
    if (moved || nowMs - this.#observedMs > UNOBSERVED_MS) this.#movedMs = nowMs;
    this.#position = position;
    this.#observedMs = nowMs;
    this.#stalled = nowMs - this.#movedMs >= STALLED_MS;
  }
}
