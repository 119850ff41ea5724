/** Requests that wait for the projection; a further one is not kept waiting. */
export const WAITS_MAX = 1000;

interface Wait {
  readonly sequence: number;
  readonly end: (reached: boolean) => void;
}

/** Lets requests wait until the projection has come to a sequence. */
export class Progress {
  readonly #waits = new Set<Wait>();
  #sequence = 0;

  /** Called with each new position, also one that was taken back. */
  advance(sequence: number): void {
    this.#sequence = sequence;
    for (const wait of this.#waits) if (wait.sequence <= sequence) wait.end(true);
  }

  /** Whether the projection came to the sequence within that time. */
  reached(sequence: number, timeoutMs: number): Promise<boolean> {
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
