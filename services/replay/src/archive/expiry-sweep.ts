import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Logger } from '@tidemark/telemetry';
import type { ArchiveStore } from './archive-store.ts';

/** How often it looks for what has expired. A removal makes searches of several steps begin anew, so it is seldom. */
const SWEEP_MS = 5000;

/** Least time between two flushes, which write to the disk. */
const FLUSH_MS = 60_000;

/** Least time between two log lines about a fault. */
const FAULT_LOG_MS = 60_000;

/**
 * Removes expired events from the archive, in short steps, and from its disk within some minutes. Nothing shows them
 * from the moment on in which they expire, so it may be late, as on a full disk.
 */
export class ExpirySweep {
  readonly #store: ArchiveStore;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  #busy = false;
  #removed = 0;
  #flushedMs = Number.NEGATIVE_INFINITY;
  #faultMs = Number.NEGATIVE_INFINITY;

  constructor(store: ArchiveStore, logger: Logger) {
    this.#store = store;
    this.#logger = logger;
    this.#timer = setInterval(() => void this.#sweep(), SWEEP_MS).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #sweep(): Promise<void> {
    if (this.#busy) return;
    this.#busy = true;
    try {
      for (let { archive } = this.#store; archive.open && archive.hasExpired; ) {
        this.#removed += archive.removeExpired();
        await nextTurn();
        ({ archive } = this.#store);
      }
      this.#flush();
    } catch (error) {
      const nowMs = performance.now();
      if (nowMs - this.#faultMs >= FAULT_LOG_MS) {
        this.#faultMs = nowMs;
        this.#logger.error({ err: error }, 'expired events cannot be removed yet');
      }
    } finally {
      this.#busy = false;
    }
  }

  #flush(): void {
    const nowMs = performance.now();
    const { archive } = this.#store;
    if (this.#removed === 0 || !archive.open || nowMs - this.#flushedMs < FLUSH_MS) return;
    this.#flushedMs = nowMs;
    if (archive.flushRemoved()) this.#removed = 0;
  }
}
