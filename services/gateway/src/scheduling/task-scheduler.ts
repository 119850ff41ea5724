import type { Clock } from './clock.ts';

/**
 * A turn takes at most both slices, 7 ms, before the loop reads its sockets again. The promise is
 * 20 ms. The rest is for the step that runs at a deadline. With twice as long slices, fan-out and storms
 * are no faster, and whoever works beside one user's flood of messages waits twice as long.
 */
export const FEED_SLICE_MS = 3;
export const TASK_SLICE_MS = 4;

/** Work that is done in slices. */
export interface Task {
  /** Works until the deadline, in the clock's time. @returns whether there is more to do */
  run(deadlineMs: number): boolean;
}

/**
 * Task scheduler: divides the loop between the feed and the tasks, a few milliseconds at a time. The
 * loop reads from its sockets between two turns.
 *
 * A turn begins with a slice of the feed. Fan-out that takes longer than a turn therefore finds more
 * events when it reaches the same connection again, and writes them at once. Batches grow with the
 * load until fan-out keeps up with the feed.
 */
export class TaskScheduler {
  readonly #clock: Clock;
  readonly #feed = new TaskQueue();
  readonly #tasks = new TaskQueue();
  /** The feed waits while this holds a task. */
  readonly #pausing = new Set<Task>();
  #scheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Runs the task in one of the next turns. Does nothing if the task is waiting already. */
  schedule(task: Task): void {
    this.#tasks.add(task);
    this.#scheduleTurn();
  }

  /** Runs the feed's task at the beginning of the next turn. */
  scheduleFeed(task: Task): void {
    this.#feed.add(task);
    this.#scheduleTurn();
  }

  /** Turns skip the feed until the task calls `resumeFeed`. The task must be scheduled. */
  pauseFeed(task: Task): void {
    this.#pausing.add(task);
  }

  resumeFeed(task: Task): void {
    this.#pausing.delete(task);
  }

  #scheduleTurn(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.soon(() => {
      this.#scheduled = false;
      if (this.#pausing.size === 0) this.#feed.run(this.#clock, FEED_SLICE_MS);
      this.#tasks.run(this.#clock, TASK_SLICE_MS);
      if (this.#feed.waiting || this.#tasks.waiting) this.#scheduleTurn();
    });
  }
}

/** Tasks in order of arrival. Each waits at most once. */
class TaskQueue {
  #waiting: Task[] = [];
  readonly #queued = new Set<Task>();

  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  add(task: Task): void {
    if (this.#queued.has(task)) return;
    this.#queued.add(task);
    this.#waiting.push(task);
  }

  /** Runs each waiting task at most once, until the time is over. */
  run(clock: Clock, ms: number): void {
    if (this.#waiting.length === 0) return;
    const deadlineMs = clock.nowMs() + ms;
    const tasks = this.#waiting;
    this.#waiting = [];
    let next = 0;
    for (const task of tasks) {
      next++;
      this.#queued.delete(task);
      if (task.run(deadlineMs)) this.add(task);
      if (clock.nowMs() >= deadlineMs) break;
    }
    if (next < tasks.length) this.#waiting = [...tasks.slice(next), ...this.#waiting];
  }
}
