import { type Applicant, Permits } from '@tidemark/fairness';
import { type Position, TidemarkError, toPresent } from '@tidemark/protocol';
import type { PatternSet } from '../log/pattern-set.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { ArchiveTier, StreamTier } from './cold-reads.ts';
import type { LogView, ResolvedStart } from './start-resolver.ts';

/** Most searches that ask an archive at once. Further ones wait for their turn. */
const SEARCHES_MAX = 16;

/** How long a start waits for an archive that has reached the tail's floor, and between two tries. */
const ARCHIVE_WAIT_MS = 2000;
const RETRY_MS = 50;

export interface LastStartsOptions {
  readonly stream: Pick<StreamTier, 'bounds'>;
  readonly archive: Pick<ArchiveTier, 'findLast'>;
  readonly clock: Clock;
  /** Most topics of one start. */
  readonly topicsMax: number;
  /** How long a start with `atLeast` waits for an archive that has it. */
  readonly atLeastWaitMs: number;
}

/** What a start asks for. */
export interface LastStart {
  readonly patterns: PatternSet;
  /** The position must have reached this one. */
  readonly atLeast?: Position | undefined;
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
  async resolve(
    { patterns, atLeast }: LastStart,
    log: LogView,
    applicant: Applicant,
  ): Promise<ResolvedStart> {
    const { archive, clock, topicsMax, atLeastWaitMs } = this.#options;
    const { signal } = applicant;
    const deadlineMs = clock.nowMs() + (atLeast ? atLeastWaitMs : ARCHIVE_WAIT_MS);
    for (;;) {
      try {
        const last = await this.#permits.use(applicant, async () => {
          const reach = Math.max(log.tail.floor, atLeast ? await this.#place(atLeast, log) : 0);
          const query = { epoch: log.epoch, patterns, reach };
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

  /**
   * @returns the sequence of a position
   * @throws TidemarkError `invalid_cursor` for one of another log, or one that the log has lost; `unavailable`
   *   while the gateway has yet to follow the log into its epoch
   */
  async #place(atLeast: Position, log: LogView): Promise<number> {
    const known = toPresent(log.lineage, atLeast);
    if (known && !known.lost) return known.sequence;
    const stream = await this.#options.stream.bounds().catch((cause) => {
      throw notYet(cause);
    });
    const present = toPresent(stream, atLeast);
    if (present && !present.lost) throw notYet();
    const what = present ? 'names an event that the log has lost' : 'is of another log';
    throw new TidemarkError('invalid_cursor', `The cursor in atLeast ${what}.`);
  }
}

function notYet(cause?: unknown): TidemarkError {
  return new TidemarkError('unavailable', 'The log has not reached atLeast yet.', {
    cause,
    retryAfterSeconds: 1,
  });
}

function isUnavailable(error: unknown): boolean {
  return error instanceof TidemarkError && error.code === 'unavailable';
}
