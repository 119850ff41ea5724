import { FairQueue, type Flow } from '@tidemark/fairness';
import type { Task, TaskScheduler } from './task-scheduler.ts';

/** The time that one user's work takes before the next user's. */
const QUANTUM_MS = 1;

/** Most of a turn that it takes, so that groups have their part of each. */
const USER_SLICE_MS = 2;

/**
 * User work: what the gateway does for single connections, which are their messages, their handshakes and
 * the steps of their catch-ups. Users get equal shares of the time, and so do the connections of one user.
 * When 5,000 clients return at once, one poll finds all their messages, and processing them on arrival would
 * block the loop for half a second.
 *
 * Its users bound it: a connection has one reader for each group of its subscriptions here, and the gateway
 * stops reading from a connection that has many messages here.
 */
export class UserWork implements Task {
  readonly #tasks: Pick<TaskScheduler, 'schedule'>;
  readonly #nowMs: () => number;
  readonly #queue = new FairQueue<Task>(QUANTUM_MS);
  readonly #queued = new Set<Task>();

  constructor(tasks: Pick<TaskScheduler, 'schedule'>, nowMs: () => number) {
    this.#tasks = tasks;
    this.#nowMs = nowMs;
  }

  /** Runs the task when it is its turn. Does nothing if the task is waiting already. */
  schedule(task: Task, flow: Flow): void {
    this.#add(task, flow);
    this.#tasks.schedule(this);
  }

  /** Does something once, after what the connection has waiting. */
  enqueue(work: () => void, flow: Flow): void {
    const run = (): boolean => {
      work();
      return false;
    };
    this.schedule({ run }, flow);
  }

  /** Counts time that was spent for a user elsewhere. */
  charge(ms: number, flow: Flow): void {
    this.#queue.charge(flow, ms);
  }

  run(deadlineMs: number): boolean {
    let nowMs = this.#nowMs();
    const endMs = Math.min(deadlineMs, nowMs + USER_SLICE_MS);
    do {
      const next = this.#queue.take();
      if (!next) return false;
      this.#queued.delete(next.item);
      if (next.item.run(endMs)) this.#add(next.item, next.flow);
      const sinceMs = nowMs;
      nowMs = this.#nowMs();
      this.#queue.charge(next.flow, nowMs - sinceMs);
    } while (nowMs < endMs);
    return this.#queue.size > 0;
  }

  #add(task: Task, flow: Flow): void {
    if (this.#queued.has(task)) return;
    this.#queued.add(task);
    this.#queue.add(task, flow);
  }
}
