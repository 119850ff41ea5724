import type { Limits } from './limits.ts';

/** The least that a client must send of a body, or take of an answer, in some time. */
export interface ProgressLimits {
  /** Bytes in `progressMs` while the server waits for the client; 0 asks for none. */
  readonly progressBytesMin: number;
  readonly progressMs: number;
}

/** The least progress, and who is told when a client makes less. */
export interface ProgressOptions extends ProgressLimits {
  readonly limits: Pick<Limits, 'hit'>;
}

/** What is watched. */
export interface Progress {
  /** Bytes that the client has sent or taken so far; it only grows. */
  readonly bytes: () => number;
  /** Called once, when the client is too slow. */
  readonly onSlow: () => void;
}

/**
 * Watches the progress of one client. The time in which the server does not wait for the client does not count.
 *
 *     paused ── resume ──> waiting ── progressMs over, too few bytes ──> slow
 *        ^─────── pause ──────┘
 */
export class ProgressWatch {
  readonly #limits: ProgressLimits;
  readonly #progress: Progress;
  #timer: NodeJS.Timeout | undefined;
  #startBytes: number;
  #leftMs: number;
  #sinceMs = 0;

  constructor(limits: ProgressLimits, progress: Progress) {
    this.#limits = limits;
    this.#progress = progress;
    this.#startBytes = progress.bytes();
    this.#leftMs = limits.progressMs;
  }

  /** The server waits for the client from now on. */
  resume(): void {
    if (this.#timer || this.#limits.progressBytesMin === 0) return;
    this.#sinceMs = performance.now();
    this.#timer = setTimeout(() => this.#judge(), this.#leftMs);
  }

  /** The server no longer waits for the client. */
  pause(): void {
    if (!this.#timer) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leftMs = Math.max(1, this.#leftMs - (performance.now() - this.#sinceMs));
  }

  #judge(): void {
    this.#timer = undefined;
    const { progressBytesMin, progressMs } = this.#limits;
    const bytes = this.#progress.bytes();
    if (bytes - this.#startBytes < progressBytesMin) {
      this.#progress.onSlow();
      return;
    }
    this.#startBytes = bytes;
    this.#leftMs = progressMs;
    this.resume();
  }
}
