import { type Applicant, Permits } from '@tidemark/fairness';
import type { Budget } from '@tidemark/http';
import type { ArchiveClient } from '@tidemark/nats';
import { formatCursor, type Head, type LogBounds, TidemarkError } from '@tidemark/protocol';
import type { Clock } from '../scheduling/clock.ts';
import type { StreamTier } from './cold-reads.ts';
import { StreamEnd } from './stream-end.ts';

/** Most requests to archives at once. Each is a step of a search; further ones wait for their turn. */
const REQUESTS_MAX = 16;

/** Most searches at once, with those that wait for their turn. */
export const SEARCHES_MAX = 2000;

/** How long the stream may take to tell its end, and how long a search waits for an archive to reach it. */
const END_WAIT_MS = 2000;
const ARCHIVE_WAIT_MS = 2000;
const RETRY_MS = 50;

export interface LogHeadOptions {
  readonly stream: Pick<StreamTier, 'bounds' | 'connected'>;
  readonly archive: Pick<ArchiveClient, 'findNewest'>;
  readonly clock: Clock;
  /** Limits the searches that are under way. */
  readonly searches: Budget;
}

/** Tells where the log ends now (PROTOCOL.md section 4.1). Any number of askers share one request to the stream. */
export class LogHead {
  readonly #options: LogHeadOptions;
  readonly #end: StreamEnd;
  readonly #permits: Permits;

  constructor(options: LogHeadOptions) {
    this.#options = options;
    this.#end = new StreamEnd(options.stream);
    this.#permits = new Permits({ max: REQUESTS_MAX, nowMs: () => options.clock.nowMs() });
  }

  /**
   * The end of the log, read after this call: no event that was acknowledged before lies behind it. Unlike the
   * start of a subscription it is never a guess, because its reader is about to read something else as of it.
   *
   * @throws TidemarkError `unavailable` where the stream does not tell its end
   */
  async read(): Promise<Head> {
    return { cursor: toCursor(await this.#readEnd()) };
  }

  /**
   * The end of the log with the newest event of some topics. Each step of the search waits for its turn, so that a
   * search of very many topics holds up nobody else's.
   *
   * @throws TidemarkError `limit_exceeded`; `unavailable` where the stream does not tell its end, or no archive has reached it; the
   *   reason of the applicant's signal when it is aborted
   */
  async find(patterns: readonly string[], applicant: Applicant): Promise<Head> {
    const place = this.#options.searches.open(applicant.flow.user);
    try {
      place.take(1);
      return await this.#find(patterns, applicant);
    } finally {
      place.release();
    }
  }

  async #find(patterns: readonly string[], applicant: Applicant): Promise<Head> {
    const end = await this.#readEnd();
    const { epoch, lastSequence: through } = end;
    const cursor = toCursor(end);
    if (through === 0) return { cursor, last: null };
    const sequence = await this.#search({ epoch, patterns, through }, applicant);
    return { cursor, last: sequence === 0 ? null : formatCursor({ epoch, sequence }) };
  }

  /** Asks again while the archives are a moment behind the stream. */
  async #search(
    query: Parameters<ArchiveClient['findNewest']>[0],
    applicant: Applicant,
  ): Promise<number> {
    const { archive, clock } = this.#options;
    const { flow, signal } = applicant;
    const deadlineMs = clock.nowMs() + ARCHIVE_WAIT_MS;
    for (;;) {
      try {
        return await archive.findNewest(query, flow.user, (step) => {
          return this.#permits.use(applicant, step);
        });
      } catch (error) {
        signal.throwIfAborted();
        if (clock.nowMs() >= deadlineMs) throw error;
      }
      await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
    }
  }

  #readEnd(): Promise<LogBounds> {
    const { stream, clock } = this.#options;
    if (!stream.connected) return Promise.reject(unavailable());
    return new Promise((resolve, reject) => {
      const cancel = clock.after(END_WAIT_MS, () => reject(unavailable()));
      this.#end
        .read()
        .then(resolve, (cause) => reject(unavailable(cause)))
        .finally(cancel);
    });
  }
}

function toCursor({ epoch, lastSequence }: LogBounds): string {
  return formatCursor({ epoch, sequence: lastSequence });
}

function unavailable(cause?: unknown): TidemarkError {
  return new TidemarkError('unavailable', 'The end of the log cannot be read now.', {
    cause,
    retryAfterSeconds: 1,
  });
}
