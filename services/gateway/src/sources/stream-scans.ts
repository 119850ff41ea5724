import { type Applicant, UserPermits } from '@tidemark/fairness';
import type { Counters } from '../counters/counters.ts';
import type { Slice } from '../log/tail.ts';
import type { ColdQuery, StreamTier } from './cold-reads.ts';

/** Most scans at once, and of one user. Nearly always one of them serves all who wait. */
const SCANS_MAX = 4;
const SCANS_PER_USER_MAX = 1;

/**
 * Sequences around the position of the one whose turn it is from which others are taken along. A scan of all subjects
 * takes a second for 60,000.
 */
const REACH = 262_144;

/** Most readers of one scan. */
const READERS_MAX = 10_000;

export interface StreamScansOptions {
  readonly stream: StreamTier;
  readonly counters: Counters;
  readonly nowMs: () => number;
}

/** A reader that waits for a part of the stream. */
interface Waiting {
  readonly query: ColdQuery;
  readonly resolve: (slice: Slice) => void;
  readonly reject: (error: unknown) => void;
  /** Ends its wait for a turn. */
  readonly leaving: AbortController;
  /** The scan that it has part in. */
  scan: Scan | undefined;
  done: boolean;
}

/** A read of the stream that is under way. It is aborted when all of its readers have left. */
interface Scan {
  readers: number;
  readonly left: AbortController;
  /** Ends with the scan. */
  readonly ended: Promise<unknown>;
}

/**
 * Scans of the stream for readers below the tail. A JetStream consumer costs milliseconds, and one that filters looks at
 * much of the stream to find little; so one scan serves all who wait: users take turns, and whoever is next takes along
 * everybody whose position is near or behind. Readers that come meanwhile wait for the next one. A reader that is alone
 * is served as if there were no others.
 */
export class StreamScans {
  readonly #options: StreamScansOptions;
  readonly #permits: UserPermits;
  readonly #waiting = new Set<Waiting>();
  /** The scan for several readers. A second one beside it would read the same again. */
  #shared: Scan | undefined;
  /** Whether the last scan for several readers began before the position of the one whose turn it was. */
  #begunBefore = false;

  constructor(options: StreamScansOptions) {
    this.#options = options;
    const { nowMs } = options;
    this.#permits = new UserPermits({ max: SCANS_MAX, perUserMax: SCANS_PER_USER_MAX, nowMs });
  }

  /** Readers whose part of the stream is not there yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Reads from the begin of a range, as `StreamTier.readSlice`.
   *
   * @throws what the stream throws; the reason of the applicant's signal when it is aborted
   */
  read(query: ColdQuery, { flow, signal }: Applicant): Promise<Slice> {
    return new Promise((resolve, reject) => {
      const leaving = new AbortController();
      const settle = (act: () => void): void => {
        if (waiting.done) return;
        waiting.done = true;
        this.#waiting.delete(waiting);
        signal.removeEventListener('abort', leave);
        leaving.abort();
        act();
      };
      const leave = (): void => {
        const { scan } = waiting;
        if (scan && --scan.readers === 0) scan.left.abort(signal.reason);
        settle(() => reject(signal.reason));
      };
      const waiting: Waiting = {
        query,
        resolve: (slice) => settle(() => resolve(slice)),
        reject: (error) => settle(() => reject(error)),
        leaving,
        scan: undefined,
        done: false,
      };
      this.#waiting.add(waiting);
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      else void this.#takeTurns(waiting, { flow, signal: leaving.signal });
    });
  }

  /** Until somebody's scan has served it. */
  async #takeTurns(waiting: Waiting, applicant: Applicant): Promise<void> {
    while (!waiting.done) {
      // It is aborted where another one's scan has served it.
      await this.#permits.use(applicant, () => this.#lead(waiting)).catch(() => undefined);
    }
  }

  async #lead(leader: Waiting): Promise<void> {
    if (leader.done) return;
    if (leader.scan) {
      await leader.scan.ended;
      return;
    }
    const readers = this.#nearTo(leader);
    if (readers.length > 1 && this.#shared) {
      await this.#shared.ended;
      return;
    }
    const left = new AbortController();
    const running = this.#run(readers, left.signal);
    const scan = { readers: readers.length, left, ended: running };
    for (const reader of readers) reader.scan = scan;
    if (readers.length > 1) this.#shared = scan;
    await running;
    if (this.#shared === scan) this.#shared = undefined;
  }

  /** Never throws. */
  async #run(readers: readonly Waiting[], signal: AbortSignal): Promise<void> {
    const { stream, counters } = this.#options;
    counters.streamScans++;
    try {
      const queries = readers.map(({ query }) => query);
      const [first] = queries;
      const slices =
        first && queries.length === 1
          ? [await stream.readSlice(first, signal)]
          : await stream.readSlices(queries, signal);
      for (const [index, reader] of readers.entries()) {
        const slice = slices[index];
        reader.scan = undefined;
        if (slice) reader.resolve(slice);
      }
    } catch (error) {
      // They try again later, and not one after the other.
      for (const reader of readers) reader.reject(error);
    }
  }

  /**
   * Those that one scan can serve together with this one, which is among them. Every other scan takes those before it
   * along: so groups that came one after the other become one, and nobody waits for all who are still to come.
   */
  #nearTo(leader: Waiting): Waiting[] {
    const { epoch, after } = leader.query;
    const before = this.#begunBefore ? 0 : REACH;
    const near = [leader];
    let first = after;
    for (const waiting of this.#waiting) {
      if (near.length === READERS_MAX) break;
      const { query, scan } = waiting;
      if (waiting === leader || scan || query.epoch !== epoch) continue;
      const distance = query.after - after;
      if (distance < -before || distance > REACH) continue;
      near.push(waiting);
      first = Math.min(first, query.after);
    }
    this.#begunBefore = first < after;
    return near;
  }
}
