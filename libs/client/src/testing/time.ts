import type { Cancel } from '../environment.ts';

/** Waits without a length that run by themselves before something else moves: a client that fails for ever ends here. */
const RUNS_MAX = 1000;

interface Timer {
  readonly run: () => void;
  readonly ms: number;
}

/**
 * Time for a client in a test. Waits before a further attempt have no length here and end on the next turn, unless they
 * are held. Longer ones, such as until a heartbeat is due, end only where the test lets time pass.
 */
export class HeldTime {
  nowMs = 0;
  /** Whatever happened so far. Where it stays the same, nothing moves. */
  moves = 0;
  /** No attempt is made, such as while the connection is away. */
  isHeld = false;
  readonly #timers = new Set<Timer>();
  #runs = 0;

  timer(run: () => void, ms: number): Cancel {
    const timer = { run, ms };
    this.#timers.add(timer);
    if (ms === 0 && !this.isHeld) this.#runSoon(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Lets what waits without a length run, and allows for as many further attempts as at first. */
  release(): void {
    this.#runs = 0;
    if (this.isHeld) return;
    for (const timer of this.#timers) if (timer.ms === 0) this.#runSoon(timer);
  }

  /** Runs what is due within so many milliseconds. */
  pass(ms: number): void {
    this.nowMs += ms;
    for (const timer of [...this.#timers]) if (timer.ms > 0 && timer.ms <= ms) this.#run(timer);
  }

  #runSoon(timer: Timer): void {
    if (++this.#runs > RUNS_MAX) return;
    void turn().then(() => {
      if (!this.isHeld) this.#run(timer);
    });
  }

  #run(timer: Timer): void {
    if (!this.#timers.delete(timer)) return;
    this.moves++;
    timer.run();
  }
}

/** All promises have been answered that need nothing but promises. Fake timers of test runners leave it alone. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
