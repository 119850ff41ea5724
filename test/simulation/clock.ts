import type { Clock } from '../../services/gateway/src/scheduling/clock.ts';

interface Timer {
  readonly dueMs: number;
  readonly owner: LoopClock;
  readonly task: () => void;
}

/** The one clock of a simulated world. Time passes only when the simulation moves it. */
export class WorldClock {
  nowMs = 1000;
  readonly #timers = new Set<Timer>();

  /** The time at which the next timer is due. */
  get nextMs(): number | undefined {
    let next: number | undefined;
    for (const { dueMs } of this.#timers) if (next === undefined || dueMs < next) next = dueMs;
    return next;
  }

  get due(): boolean {
    return (this.nextMs ?? Number.POSITIVE_INFINITY) <= this.nowMs;
  }

  elapse(ms: number): void {
    this.nowMs += ms;
  }

  /** Runs the timer that is due next. */
  fire(): void {
    let first: Timer | undefined;
    for (const timer of this.#timers) if (!first || timer.dueMs < first.dueMs) first = timer;
    if (!first) return;
    this.#timers.delete(first);
    if (!first.owner.ended) first.task();
  }

  set(timer: Timer): () => void {
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }
}

/** The event loop of one simulated process. */
export class LoopClock implements Clock {
  /** Whether the process was killed. None of its tasks runs then. */
  ended = false;
  readonly #clock: WorldClock;
  #tasks: (() => void)[] = [];

  constructor(clock: WorldClock) {
    this.#clock = clock;
  }

  get busy(): boolean {
    return this.#tasks.length > 0 && !this.ended;
  }

  nowMs(): number {
    return this.#clock.nowMs;
  }

  soon(task: () => void): void {
    this.#tasks.push(task);
  }

  after(ms: number, task: () => void): () => void {
    return this.#clock.set({ dueMs: this.#clock.nowMs + ms, owner: this, task });
  }

  /** One round of the loop: runs the tasks that are there now, and not the tasks that these add. */
  turn(): void {
    const tasks = this.#tasks;
    this.#tasks = [];
    for (const task of tasks) if (!this.ended) task();
  }
}
