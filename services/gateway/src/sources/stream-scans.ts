import { type Applicant, UserPermits } from '@tidemark/fairness';
import type { Counters } from '../counters/counters.ts';
import type { Slice } from '../log/tail.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { ColdQuery, StreamTier } from './cold-reads.ts';

/** Most scans at once, and of one user. Nearly always one of them serves all who wait. */
const SCANS_MAX = 4;
const SCANS_PER_USER_MAX = 1;

/** Sequences around the position of the one whose turn it is from which others are taken along. */
const REACH = 262_144;

/** What a scan of all subjects reads in a millisecond, about. */
const RECORDS_PER_MS = 60;

/** The time between two looks at who has come, and the longest wait for others. */
const LOOK_MS = 50;
const GATHER_MS_MAX = 6000;

/** Most readers of one scan. */
const READERS_MAX = 10_000;

export interface StreamScansOptions {
  readonly stream: StreamTier;
  readonly counters: Counters;
  readonly clock: Clock;
}

/** Why a reader waits for a turn no longer. One for all, because a new one would cost more than all the rest of it. */
const SERVED = new Error('The reader waits no longer.');

/** A reader that waits for a part of the stream. */
interface Waiting {
  readonly query: ColdQuery;
  readonly user: string;
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
 * everybody whose position is near or behind. It waits a little for more of them, because readers that come while a scan
 * is under way wait for the next one. A reader that is alone is served as if there were no others.
 */
export class StreamScans {
  readonly #options: StreamScansOptions;
  readonly #permits: UserPermits;
  readonly #waiting = new Set<Waiting>();
  /** Ends with the scan for several readers, or with the wait for them. A second one beside it would read the same again. */
  #shared: Promise<void> | undefined;
  /** Whether the last scan for several readers began before the position of the one whose turn it was. */
  #begunBefore = false;

  constructor(options: StreamScansOptions) {
    this.#options = options;
    const nowMs = () => options.clock.nowMs();
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
        leaving.abort(SERVED);
        act();
      };
      const leave = (): void => {
        const { scan } = waiting;
        if (scan && --scan.readers === 0) scan.left.abort(signal.reason);
        settle(() => reject(signal.reason));
      };
      const waiting: Waiting = {
        query,
        user: flow.user,
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
    if (!this.#shared) {
      this.#shared = this.#gather(leader);
      await this.#shared;
      this.#shared = undefined;
      if (leader.done) return;
    }
    const readers = this.#nearTo(leader);
    if (readers.length > 1 && this.#shared) {
      await this.#shared;
      return;
    }
    this.#begunBefore = beginOf(readers) < leader.query.after;
    const running = this.#begin(readers);
    if (readers.length > 1) this.#shared = running;
    await running;
    if (this.#shared === running) this.#shared = undefined;
  }

  /**
   * Waits for others before a scan, as long as that saves more than it costs, and never longer than the scan takes.
   * Those that are there lose the time. Those that come too late lose that of a whole scan, which also takes the loop
   * from all others. Each user counts once, so that nobody alone keeps the others waiting.
   */
  async #gather(leader: Waiting): Promise<void> {
    const { clock } = this.#options;
    const startMs = clock.nowMs();
    for (let before = 0; !leader.done; ) {
      const near = this.#nearTo(leader);
      const users = new Set(near.map(({ user }) => user)).size;
      const scanMs = (leader.query.through - beginOf(near)) / RECORDS_PER_MS;
      const lookMs = Math.min(LOOK_MS, scanMs);
      const isOver = clock.nowMs() + lookMs > startMs + Math.min(GATHER_MS_MAX, scanMs);
      const come = users - before;
      if (before > 0 && (isOver || 2 * come * scanMs <= users * lookMs)) return;
      before = users;
      await new Promise<void>((resolve) => void clock.after(lookMs, resolve));
    }
  }

  /** @returns a promise that ends with the scan */
  #begin(readers: readonly Waiting[]): Promise<void> {
    const left = new AbortController();
    const ended = this.#run(readers, left.signal);
    const scan = { readers: readers.length, left, ended };
    for (const reader of readers) reader.scan = scan;
    return ended;
  }

  /** Whether somebody waits for the next scan. */
  #isAwaited(): boolean {
    for (const { scan } of this.#waiting) if (!scan) return true;
    return false;
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
          : await stream.readSlices(queries, { signal, isAwaited: () => this.#isAwaited() });
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
    for (const waiting of this.#waiting) {
      if (near.length === READERS_MAX) break;
      const { query, scan } = waiting;
      if (waiting === leader || scan || query.epoch !== epoch) continue;
      const distance = query.after - after;
      if (distance < -before || distance > REACH) continue;
      near.push(waiting);
    }
    return near;
  }
}

function beginOf(readers: readonly Waiting[]): number {
  return readers.reduce(
    (least, { query }) => Math.min(least, query.after),
    Number.POSITIVE_INFINITY,
  );
}
