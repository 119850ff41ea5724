/** Time and timers. Every user gets its clock as an argument, so the simulation can control both. */
export interface Clock {
  /** Monotonic time in milliseconds; only differences have a meaning. */
  nowMs(): number;
  /** Runs the task after the loop has read from its sockets. */
  soon(task: () => void): void;
  /** @returns a function that cancels the task */
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
