import { type Applicant, Permits } from '@tidemark/fairness';
import { TidemarkError } from '@tidemark/protocol';
import type { PatternSet } from '../log/pattern-set.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { ArchiveTier } from './cold-reads.ts';
import type { LogView, ResolvedStart } from './start-resolver.ts';

/** Most searches that ask an archive at once. Further ones wait for their turn. */
const SEARCHES_MAX = 16;

/** How long a start waits for an archive that has reached the tail's floor, and between two tries. */
const ARCHIVE_WAIT_MS = 2000;
const RETRY_MS = 50;

export interface LastStartsOptions {
  readonly archive: Pick<ArchiveTier, 'findLast'>;
  readonly clock: Clock;
  /** Most topics of one start. */
  readonly topicsMax: number;
}

/**
 * Resolves `after: "last"` (PROTOCOL.md section 4.2). The position is the end of an archive when the search begins:
 * the archive has all that the last events need, and what came since then is read like in any other catch-up. An
 * archive that has reached the tail's floor will do, because the tail has the rest.
 */
export class LastStarts {
  readonly #options: LastStartsOptions;
  readonly #permits: Permits;

  constructor(options: LastStartsOptions) {
    this.#options = options;
    this.#permits = new Permits({ max: SEARCHES_MAX, nowMs: () => options.clock.nowMs() });
  }

  /**
   * @throws TidemarkError `unavailable` where no archive gets that far in time, `limit_exceeded` for too many topics;
   *   the reason of the applicant's signal when it is aborted
   */
  async resolve(patterns: PatternSet, log: LogView, applicant: Applicant): Promise<ResolvedStart> {
    const { archive, clock, topicsMax } = this.#options;
    const { signal } = applicant;
    const deadlineMs = clock.nowMs() + ARCHIVE_WAIT_MS;
    for (;;) {
      try {
        const last = await this.#permits.use(applicant, () => {
          const query = { epoch: log.epoch, patterns, reach: log.tail.floor };
          return archive.findLast(query, { topicsMax, signal }, applicant.flow.user);
        });
        return { sequence: last.through, last };
      } catch (error) {
        signal.throwIfAborted();
        if (clock.nowMs() >= deadlineMs || !isUnavailable(error)) throw error;
      }
      await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
      signal.throwIfAborted();
    }
  }
}

function isUnavailable(error: unknown): boolean {
  return error instanceof TidemarkError && error.code === 'unavailable';
}
