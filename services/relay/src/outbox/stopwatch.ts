/**
 * Measures a time that a process may sleep through. The clock of the process stands still while the machine is
 * suspended, and the wall clock can be set back; so the longer of both counts.
 */
export class Stopwatch {
  readonly #startMs = performance.now();
  readonly #startWallMs = Date.now();

  get elapsedMs(): number {
    return Math.max(performance.now() - this.#startMs, Date.now() - this.#startWallMs);
  }
}
