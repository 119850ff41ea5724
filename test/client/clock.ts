interface Timer {
  readonly at: number;
  readonly number: number;
  readonly run: () => void;
}

/** Time that passes only when the test lets it. */
export class VirtualClock {
  nowMs = 0;
  readonly #timers = new Set<Timer>();
  #numbers = 0;

  timer(run: () => void, ms: number): () => void {
    const timer = { at: this.nowMs + Math.max(0, ms), number: ++this.#numbers, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Runs what is due until then, each after all promises of the one before. */
  async advance(ms: number): Promise<void> {
    const end = this.nowMs + ms;
    for (;;) {
      await settled();
      let next: Timer | undefined;
      for (const timer of this.#timers) {
        const isEarlier =
          !next || timer.at < next.at || (timer.at === next.at && timer.number < next.number);
        if (timer.at <= end && isEarlier) next = timer;
      }
      if (!next) break;
      this.#timers.delete(next);
      this.nowMs = Math.max(this.nowMs, next.at);
      next.run();
    }
    this.nowMs = end;
  }
}

/** Promises of promises have all been answered. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
