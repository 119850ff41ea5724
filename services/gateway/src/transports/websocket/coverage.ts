import { type Principal, permits } from '@tidemark/auth';
import type { Connection } from '../../connections/connection.ts';
import type { Task } from '../../scheduling/task-scheduler.ts';

export interface CoverageOptions {
  readonly connection: Pick<Connection, 'patternsById' | 'closed'>;
  readonly principal: Principal;
  readonly nowMs: () => number;
  /** Is given a pattern of each subscription that the principal's token does not cover, by id. */
  readonly onChecked: (uncovered: ReadonlyMap<string, string>) => void;
}

/**
 * Coverage: compares the subscriptions of a connection with a new token. A thousand patterns and as many grants
 * take 25 ms, so this runs in steps, in the turns of the user. What is subscribed to meanwhile is compared as well.
 */
export class Coverage implements Task {
  readonly #options: CoverageOptions;
  /** How many patterns of a list are covered. */
  readonly #covered = new Map<readonly string[], number>();

  constructor(options: CoverageOptions) {
    this.#options = options;
  }

  run(deadlineMs: number): boolean {
    const { connection, onChecked } = this.#options;
    if (connection.closed) return false;
    const uncovered = new Map<string, string>();
    for (const [id, patterns] of connection.patternsById()) {
      const count = this.#compare(patterns, deadlineMs);
      if (count === undefined) return true;
      const pattern = patterns[count];
      if (pattern !== undefined) uncovered.set(id, pattern);
    }
    onChecked(uncovered);
    return false;
  }

  /** @returns how many are covered, before the first that is not; `undefined` where the time is over */
  #compare(patterns: readonly string[], deadlineMs: number): number | undefined {
    const { principal, nowMs } = this.#options;
    let count = this.#covered.get(patterns) ?? 0;
    for (let pattern = patterns[count]; pattern !== undefined; pattern = patterns[count]) {
      if (nowMs() >= deadlineMs) {
        this.#covered.set(patterns, count);
        return undefined;
      }
      if (!permits(principal, 'subscribe', pattern)) break;
      count++;
    }
    this.#covered.set(patterns, count);
    return count;
  }
}
