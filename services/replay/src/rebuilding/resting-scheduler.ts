import { setTimeout as sleep } from 'node:timers/promises';
import type { Backlog, Scheduler } from '@tidemark/nats';

/** How long a slice of a rebuild works. It then rests for as long as it took: requests and the projector go first. */
const SLICE_MS = 4;

/** Works in slices with rests between them, so that a long work takes half of the process's time at most. */
export class RestingScheduler implements Scheduler {
  readonly #signal: AbortSignal;
  readonly #onSlice: () => void;
  readonly #onError: (error: unknown) => void;
  #working = false;
  /** Whether the backlog has asked since its last slice began. */
  #asked = false;

  constructor(
    signal: AbortSignal,
    events: { readonly onSlice: () => void; readonly onError: (error: unknown) => void },
  ) {
    this.#signal = signal;
    this.#onSlice = events.onSlice;
    this.#onError = events.onError;
  }

  nowMs(): number {
    return performance.now();
  }

  schedule(backlog: Backlog): void {
    this.#asked = true;
    if (this.#working) return;
    this.#working = true;
    void this.repeat(() => {
      this.#asked = false;
      const more = backlog.run(performance.now() + SLICE_MS);
      this.#onSlice();
      return more;
    })
      .catch(this.#onError)
      .finally(() => {
        this.#working = false;
        // It may have asked while this rested.
        if (this.#asked && !this.#signal.aborted) this.schedule(backlog);
      });
  }

  /**
   * Repeats a step until it returns false.
   *
   * @throws what the step throws; the signal's reason when it is aborted
   */
  async repeat(step: () => boolean): Promise<void> {
    for (let more = true; more; ) {
      this.#signal.throwIfAborted();
      const startMs = performance.now();
      more = step();
      await sleep(performance.now() - startMs, undefined, { signal: this.#signal });
    }
  }
}
