import type { Scheduler } from '../scheduler.ts';

/** The loop is left to others after this much work; the promise is 20 ms for the longest block. */
export const TURN_MS = 8;

export interface Task {
  /** Works until the deadline (the scheduler's clock). @returns whether there is more to do */
  run(deadlineMs: number): boolean;
}

/**
 * Shares the process between fan-out and catch-up: tasks run in turn, a few milliseconds at a
 * time, and between two turns the loop reads from its sockets. What arrives meanwhile goes out
 * together, so that coalescing grows with the load.
 */
export class Turns {
  readonly #scheduler: Scheduler;
  #waiting: Task[] = [];
  readonly #known = new Set<Task>();
  #scheduled = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Runs the task in one of the next turns; a task that waits already is not added again. */
  add(task: Task): void {
    if (this.#known.has(task)) return;
    this.#known.add(task);
    this.#waiting.push(task);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduler.soon(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    const deadlineMs = this.#scheduler.nowMs() + TURN_MS;
    const tasks = this.#waiting;
    this.#waiting = [];
    let next = 0;
    for (const task of tasks) {
      next++;
      this.#known.delete(task);
      if (task.run(deadlineMs)) this.add(task);
      if (this.#scheduler.nowMs() >= deadlineMs) break;
    }
    if (next < tasks.length) this.#waiting = [...tasks.slice(next), ...this.#waiting];
    if (this.#waiting.length > 0) this.#schedule();
  }
}
