/** The messages that a consumer has received and not processed yet. */
export interface Backlog {
  /**
   * Processes messages until the deadline, in milliseconds of the scheduler's clock.
   *
   * @returns whether any are left
   */
  run(deadlineMs: number): boolean;
}

/**
 * Decides when received messages are processed. Without one they are processed on arrival. Node reads
 * a busy socket up to 32 times before it does anything else, which is some 5,000 messages. A process
 * that must answer within a few milliseconds therefore processes them in slices.
 */
export interface Scheduler {
  /** A monotonic clock, in milliseconds. */
  nowMs(): number;
  /** Calls the backlog's `run` soon, and again for as long as that returns true. */
  schedule(backlog: Backlog): void;
}
