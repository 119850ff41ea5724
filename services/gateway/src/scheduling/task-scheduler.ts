import type { Scheduler } from './clock.ts';

/**
 * The loop is left to others after these two together, 14 ms; the promise is 20 ms for the longest
 * block. The rest is for the step that a deadline finds under way.
 */
export const INTAKE_MS = 6;
export const TURN_MS = 8;

export interface Task {
  /** Works until the deadline (the scheduler's clock). @returns whether there is more to do */
  run(deadlineMs: number): boolean;
}

/**
 * Shares the process between the feed, fan-out and catch-up: a few milliseconds at a time, and
 * between two turns the loop reads from its sockets.
 *
 * A turn begins with the intake, what the feed has brought. Fan-out that takes longer than a turn
 * is therefore met by more events before it comes to the same connection again, and these go out in
 * one write: coalescing grows with the load until both are in balance.
 */
export class Turns {
  readonly #scheduler: Scheduler;
  readonly #intake = new TaskQueue();
  readonly #tasks = new TaskQueue();
  readonly #holders = new Set<Task>();
  #scheduled = false;

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Runs the task in one of the next turns; a task that waits already is not added again. */
  add(task: Task): void {
    this.#tasks.add(task);
    this.#schedule();
  }

  /** Runs the task at the beginning of the next turn. */
  addIntake(task: Task): void {
    this.#intake.add(task);
    this.#schedule();
  }

  /** Turns begin without intake until the task, which is waiting itself, has made room for more. */
  holdIntake(task: Task): void {
    this.#holders.add(task);
  }

  releaseIntake(task: Task): void {
    this.#holders.delete(task);
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#scheduler.soon(() => {
      this.#scheduled = false;
      if (this.#holders.size === 0) this.#intake.run(this.#scheduler, INTAKE_MS);
      this.#tasks.run(this.#scheduler, TURN_MS);
      if (this.#intake.waiting || this.#tasks.waiting) this.#schedule();
    });
  }
}

/** Tasks in the order in which they came, each once. */
class TaskQueue {
  #waiting: Task[] = [];
  readonly #known = new Set<Task>();

  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  add(task: Task): void {
    if (this.#known.has(task)) return;
    this.#known.add(task);
    this.#waiting.push(task);
  }

  /** Runs each task that waits now once, as far as the time allows. */
  run(scheduler: Scheduler, ms: number): void {
    if (this.#waiting.length === 0) return;
    const deadlineMs = scheduler.nowMs() + ms;
    const tasks = this.#waiting;
    this.#waiting = [];
    let next = 0;
    for (const task of tasks) {
      next++;
      this.#known.delete(task);
      if (task.run(deadlineMs)) this.add(task);
      if (scheduler.nowMs() >= deadlineMs) break;
    }
    if (next < tasks.length) this.#waiting = [...tasks.slice(next), ...this.#waiting];
  }
}
