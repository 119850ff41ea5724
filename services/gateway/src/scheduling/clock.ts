/** Time and turns, as arguments, so that a simulation can decide them. */
export interface Scheduler {
  /** A clock that never goes back, in milliseconds; only differences mean something. */
  nowMs(): number;
  /** Runs the task once what is at hand has been read from the sockets. */
  soon(task: () => void): void;
  /** @returns cancels it */
  after(ms: number, task: () => void): () => void;
}

export const realScheduler: Scheduler = {
  nowMs: () => performance.now(),
  soon: (task) => void setImmediate(task),
  after: (ms, task) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};
