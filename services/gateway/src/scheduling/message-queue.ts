import type { Task, TaskScheduler } from './task-scheduler.ts';

/**
 * Message queue: the messages of all clients that the gateway has not processed yet, in order of
 * arrival. It processes them in slices. When 5,000 clients return at once, one poll finds all their
 * messages, and processing them on arrival would block the loop for half a second.
 *
 * Its users bound it: they stop reading from a connection that has many messages here.
 */
export class MessageQueue implements Task {
  readonly #tasks: Pick<TaskScheduler, 'schedule'>;
  readonly #nowMs: () => number;
  #waiting: (() => void)[] = [];

  constructor(tasks: Pick<TaskScheduler, 'schedule'>, nowMs: () => number) {
    this.#tasks = tasks;
    this.#nowMs = nowMs;
  }

  enqueue(process: () => void): void {
    this.#waiting.push(process);
    this.#tasks.schedule(this);
  }

  run(deadlineMs: number): boolean {
    const waiting = this.#waiting;
    let next = 0;
    for (const process of waiting) {
      next++;
      process();
      if (this.#nowMs() >= deadlineMs) break;
    }
    this.#waiting = waiting.slice(next);
    return this.#waiting.length > 0;
  }
}
