/** Time, and tasks for later. An argument everywhere, so that the simulation decides both. */
export interface Clock {
  /** A monotonic clock, in milliseconds; only differences have a meaning. */
  nowMs(): number;
  /** Runs the task after the loop has read what the sockets hold. */
  soon(task: () => void): void;
  /** @returns cancels the task */
  after(ms: number, task: () => void): () => void;
}

export const systemClock: Clock = {
  nowMs: () => performance.now(),
  soon: (task) => void setImmediate(task),
  after: (ms, task) => {
    const timer = setTimeout(task, ms);
    return () => clearTimeout(timer);
  },
};
