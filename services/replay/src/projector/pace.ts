/** How long the archive may stand still behind the stream before the projection counts as stalled. */
const STALLED_MS = 15_000;

/**
 * Tells a projection that stands still, although the stream has more, from one that is only behind. It
 * covers every cause: a feed that does not start, an archive that cannot be written, a fault of our own.
 */
export class Pace {
  readonly #nowMs: () => number;
  #position = -1;
  /** When the archive last moved or was not behind. */
  #movedMs: number;
  #behind = false;

  constructor(nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#movedMs = nowMs();
  }

  get stalled(): boolean {
    return this.#behind && this.#nowMs() - this.#movedMs >= STALLED_MS;
  }

  /** Compares the archive with the stream, to be called every few seconds while the stream answers. */
  observe(position: number, streamEnd: number): void {
    this.#behind = position < streamEnd;
    if (this.#behind && position === this.#position) return;
    this.#position = position;
    this.#movedMs = this.#nowMs();
  }
}
