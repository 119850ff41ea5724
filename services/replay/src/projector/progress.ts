/** Most requests that wait for the archive; a further one fails at once. */
export const WAITS_MAX = 1000;

interface Wait {
  readonly sequence: number;
  readonly end: (reached: boolean) => void;
}

/** Lets requests wait until the archive has reached a sequence. */
export class Progress {
  readonly #waits = new Set<Wait>();
  #sequence = 0;

  /** Sets the archive's last sequence, which a truncation lowers. */
  setSequence(sequence: number): void {
    this.#sequence = sequence;
    for (const wait of this.#waits) if (wait.sequence <= sequence) wait.end(true);
  }

  /** @returns whether the archive reached the sequence within `timeoutMs` */
  waitForSequence(sequence: number, timeoutMs: number): Promise<boolean> {
    if (sequence <= this.#sequence) return Promise.resolve(true);
    if (this.#waits.size >= WAITS_MAX) return Promise.resolve(false);
    return new Promise((resolve) => {
      const end = (reached: boolean) => {
        clearTimeout(timer);
        this.#waits.delete(wait);
        resolve(reached);
      };
      const timer = setTimeout(() => end(false), timeoutMs);
      const wait = { sequence, end };
      this.#waits.add(wait);
    });
  }
}
