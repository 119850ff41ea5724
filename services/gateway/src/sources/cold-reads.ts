import type { Applicant, Flow, Permits, UserPermits } from '@tidemark/fairness';
import { type ArchiveLack, isBusy, type LastFound, type LastSearchLimits } from '@tidemark/nats';
import { type LogBounds, TidemarkError } from '@tidemark/protocol';
import type { Counters } from '../counters/counters.ts';
import type { EventEntry } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type { Slice } from '../log/tail.ts';
import type { Clock } from '../scheduling/clock.ts';
import { StreamEnd } from './stream-end.ts';
import { StreamScans } from './stream-scans.ts';

export interface ColdQuery {
  readonly epoch: string;
  readonly patterns: PatternSet;
  /** The range begins after this sequence. */
  readonly after: number;
  /** The last sequence of the range; the feed has delivered it already. */
  readonly through: number;
  readonly eventsMax: number;
}

export type ColdPage =
  | { readonly kind: 'events'; readonly entries: readonly EventEntry[]; readonly through: number }
  /** No tier holds any event of the range up to `through` any more. */
  | { readonly kind: 'gap'; readonly through: number };

/** A page, and the tier that answered. */
export type ColdAnswer = ColdPage & { readonly tier: 'stream' | 'archive' };

/** The stream in JetStream. Calls fail while NATS is unreachable. */
export interface StreamTier {
  readonly connected: boolean;
  bounds(): Promise<LogBounds>;
  /** The bounds; while they end before a cursor, it makes sure that the answer is not a late one. */
  boundsReaching(sequence: number): Promise<LogBounds>;
  /**
   * Reads events of matching topics, whatever their types, from the begin of a range. The slice may end before the range, even without
   * an event, but never where it begins.
   */
  readSlice(query: ColdQuery, signal?: AbortSignal): Promise<Slice>;
  /**
   * Reads for several queries of one epoch at once, from the lowest begin of their ranges on. Each gets what `readSlice` might give,
   * or `undefined` where the read ended before its range.
   */
  readSlices(queries: readonly ColdQuery[], limits: ScanLimits): Promise<(Slice | undefined)[]>;
  /** Searches for the last sequence stored before that time, among those that the stream still holds. */
  sequenceBefore(timeMs: number): Promise<TimeSearch>;
}

/** What ends a read for several queries before its range does. */
export interface ScanLimits {
  readonly signal: AbortSignal;
  /** Whether others wait for it to end. */
  readonly isAwaited: () => boolean;
}

/** What a search of the stream for a time found. */
export interface TimeSearch {
  /** Every event after it is of that time or later. */
  readonly sequence: number;
  /** Whether the stream had an event there. If not, earlier ones may have left it, whatever their time. */
  readonly found: boolean;
}

/** What the archives answer: a page from the start of the range on, or what all of them lack there. */
export type ArchiveRead =
  | { readonly page: ColdPage; readonly lack?: undefined }
  | { readonly page?: undefined; readonly lack: ArchiveLack };

/** Asks for the newest event of each topic of some patterns, as of `reach` or later. */
export interface LastQuery {
  readonly epoch: string;
  readonly patterns: PatternSet;
  readonly reach: number;
}

/** Asks for the events of some sequences, in ascending order. */
export interface EventsQuery {
  readonly epoch: string;
  readonly sequences: readonly number[];
}

/** The events of the sequences up to `through`: fewer, where some are no longer there. */
export interface EventsPage {
  readonly entries: readonly EventEntry[];
  readonly through: number;
}

/**
 * The archives of the replay services. Calls throw `unavailable` while one that is needed is away, or has too much
 * to do for the user (`isBusy`).
 */
export interface ArchiveTier {
  /** What all archives of an epoch hold together; those of another epoch where there are no others. */
  bounds(epoch: string): Promise<LogBounds>;
  readPage(query: ColdQuery, user?: string): Promise<ArchiveRead>;
  findLast(query: LastQuery, limits: LastSearchLimits, user?: string): Promise<LastFound>;
  readEvents(query: EventsQuery, user?: string): Promise<EventsPage>;
  sequenceBefore(epoch: string, timeMs: number, user?: string): Promise<number>;
}

export interface ColdReadsOptions {
  readonly stream: StreamTier;
  readonly archive: ArchiveTier;
  readonly clock: Clock;
  readonly counters: Counters;
  /** Bounds the reads in progress. Further ones wait for their turn. */
  readonly reads: Permits | UserPermits;
  /** How long a read retries while NATS is connected and no tier answers. */
  readonly waitMs: number;
}

const RETRY_MS = 250;

/** The state of one read across its attempts. */
interface ReadProgress {
  /** Time spent in attempts and pauses, without the time in the queue. */
  triedMs: number;
  /** When the archive first lacked events that the stream had dropped, and the last of these. */
  behind?: { readonly sinceMs: number; readonly through: number };
}

interface Attempt {
  readonly generation: number;
  readonly progress: ReadProgress;
}

/** Makes one attempt. @returns `undefined` where there is no answer yet, `STREAM` where the stream has to be asked */
type Ask<T> = (progress: ReadProgress) => Promise<T | typeof STREAM | undefined>;

/** The archives do not have it, and the stream has. */
const STREAM = Symbol('stream');

/** A read that may have several readers. It ends when the last of them has gone. */
interface SharedRead {
  readonly page: Promise<ColdAnswer>;
  readonly leaving: AbortController;
  readers: number;
}

/** Whoever waits for a read and never leaves. */
const NOBODY = '';
const STAYING: Applicant = {
  flow: { user: NOBODY, connection: {} },
  signal: new AbortController().signal,
};

/** How long the archive may lack events that the stream has dropped, before they count as lost. */
const ARCHIVE_LAG_MS = 2000;

/**
 * Cold reads: reads of events that are older than the tail. Equal reads at one time become one read, and
 * the number in progress is bounded. Thousands of returning clients therefore cost as much as the
 * different ranges that they ask for.
 *
 * It asks the archive first, then the stream for what the archive lacks. Measured with 300,000 events
 * on 5,000 topics: one wide range comes four times as fast from the archive's pages as from an ordered
 * consumer, and costs the gateway a tenth of the CPU. 60 events of one topic come twenty times as
 * fast, because the archive has an index on topics.
 */
export class ColdReads {
  readonly #options: ColdReadsOptions;
  readonly #shared = new Map<string, SharedRead>();
  readonly #scans: StreamScans;
  readonly #end: StreamEnd;
  #generation = 0;

  constructor(options: ColdReadsOptions) {
    this.#options = options;
    const { stream, counters, clock } = options;
    this.#scans = new StreamScans({ stream, counters, clock });
    this.#end = new StreamEnd(stream);
  }

  get underWay(): number {
    return this.#options.reads.used;
  }

  get waiting(): number {
    return this.#options.reads.waiting + this.#scans.waiting;
  }

  /**
   * Reads a page. When the reader's signal is aborted and no other reader shares the read, the read ends:
   * it leaves the queue, or stops where it is, and is not tried again.
   *
   * @throws TidemarkError `unavailable` after `waitMs` without an answer. While NATS is unreachable it
   *   goes on waiting: the connection keeps its position, and the client gets no wrong answer.
   */
  readPage(query: ColdQuery, reader = STAYING): Promise<ColdAnswer> {
    const key = `${query.after} ${query.eventsMax} ${query.patterns.key}`;
    let shared = this.#shared.get(key);
    if (shared) this.#options.counters.coldReadsShared++;
    else shared = this.#share(key, query, reader.flow);
    this.#join(shared, key, reader.signal);
    return shared.page;
  }

  /**
   * Reads the events of some sequences from an archive, as many as fit in one page.
   *
   * @throws TidemarkError `unavailable` like `readPage`; the reason of the reader's signal when it is aborted
   */
  readEvents(query: EventsQuery, reader: Applicant): Promise<EventsPage> {
    const { archive, counters } = this.#options;
    return this.#untilAnswered(() => {
      counters.coldReads++;
      return archive.readEvents(query, reader.flow.user);
    }, reader);
  }

  /** Called when the log restarts. Reads in progress end without a retry, and no new read shares them. */
  abandonReads(): void {
    this.#shared.clear();
    this.#generation++;
  }

  #share(key: string, query: ColdQuery, flow: Flow): SharedRead {
    const leaving = new AbortController();
    const { signal } = leaving;
    const ask = (progress: ReadProgress) => this.#askArchive(query, progress, { flow, signal });
    const askStream = () => this.#askStream(query, { flow, signal });
    const page = this.#untilAnswered(ask, { flow, signal }, askStream).finally(() => {
      this.#forget(key, shared);
    });
    const shared: SharedRead = { page, leaving, readers: 0 };
    this.#shared.set(key, shared);
    return shared;
  }

  #join(shared: SharedRead, key: string, signal: AbortSignal): void {
    shared.readers++;
    // A reader that stays has no listener, because its signal would keep it for ever.
    if (signal === STAYING.signal) return;
    const leave = (): void => {
      shared.readers--;
      if (shared.readers > 0) return;
      this.#forget(key, shared);
      this.#options.counters.coldReadsLeft++;
      shared.leaving.abort(new Error('Nobody waits for this read any more.'));
    };
    signal.addEventListener('abort', leave, { once: true });
    const settled = (): void => signal.removeEventListener('abort', leave);
    shared.page.then(settled, settled);
  }

  #forget(key: string, shared: SharedRead): void {
    if (this.#shared.get(key) === shared) this.#shared.delete(key);
  }

  /** Other reads can use the permit between two attempts. */
  async #untilAnswered<T>(
    ask: Ask<T>,
    applicant: Applicant,
    askStream: () => Promise<T | undefined> = async () => undefined,
  ): Promise<T> {
    const { waitMs, stream, clock } = this.#options;
    const { signal } = applicant;
    const generation = this.#generation;
    const progress: ReadProgress = { triedMs: 0 };
    for (;;) {
      const attempt = this.#options.reads.use(applicant, () => {
        return this.#attempt(ask, { generation, progress });
      });
      let { answer, error } = await settle(attempt);
      signal.throwIfAborted();
      // Without the permit: a scan serves any number of readers.
      if (answer === STREAM) {
        const startMs = clock.nowMs();
        ({ answer, error } = await settle(askStream()));
        if (error) progress.triedMs += clock.nowMs() - startMs;
      }
      signal.throwIfAborted();
      if (answer && answer !== STREAM) return answer;
      if (!stream.connected) progress.triedMs = 0;
      if (generation !== this.#generation || progress.triedMs >= waitMs) throw unavailable(error);
      await this.#pause(signal);
      progress.triedMs += RETRY_MS;
    }
  }

  async #pause(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const end = (): void => {
        cancel();
        signal.removeEventListener('abort', end);
        resolve();
      };
      const cancel = this.#options.clock.after(RETRY_MS, end);
      signal.addEventListener('abort', end, { once: true });
    });
    signal.throwIfAborted();
  }

  async #attempt<T>(
    ask: Ask<T>,
    { generation, progress }: Attempt,
  ): Promise<T | typeof STREAM | undefined> {
    if (generation !== this.#generation) return undefined;
    const { clock } = this.#options;
    const startMs = clock.nowMs();
    try {
      return await ask(progress);
    } finally {
      progress.triedMs += clock.nowMs() - startMs;
    }
  }

  /** @returns `undefined` where no tier has the answer yet, `STREAM` where it is there */
  async #askArchive(
    query: ColdQuery,
    progress: ReadProgress,
    { flow, signal }: Applicant,
  ): Promise<ColdAnswer | typeof STREAM | undefined> {
    this.#options.counters.coldReads++;
    const user = flow.user === NOBODY ? undefined : flow.user;
    const archive = await settle(this.#options.archive.readPage(query, user));
    if (archive.answer?.page) return { ...archive.answer.page, tier: 'archive' };
    signal.throwIfAborted();
    // What an archive has no time for would cost the stream many times as much.
    if (isBusy(archive.error)) throw archive.error;
    const before = await this.#end.read();
    if (before.epoch !== query.epoch) return undefined;
    if (query.after + 1 >= before.firstSequence) return STREAM;
    if (!archive.answer) throw archive.error;
    return this.#findGap(query, progress, { stream: before, lack: archive.answer.lack });
  }

  /** @returns `undefined` where the stream may have dropped a part of it meanwhile */
  async #askStream(query: ColdQuery, reader: Applicant): Promise<ColdAnswer | undefined> {
    const slice = await this.#scans.read(query, reader);
    const after = await this.#end.read();
    // The read does not show which events expired while it ran.
    const isComplete = after.epoch === query.epoch && query.after + 1 >= after.firstSequence;
    return isComplete ? { kind: 'events', ...slice, tier: 'stream' } : undefined;
  }

  /** The stream dropped events that all archives lack: they are lost, or one is about to have them. */
  #findGap(
    query: ColdQuery,
    progress: ReadProgress,
    { stream, lack }: { stream: LogBounds; lack: ArchiveLack },
  ): ColdAnswer | undefined {
    const dropped = Math.min(query.through, stream.firstSequence - 1, lack.through);
    if (!lack.mayCome) return { kind: 'gap', through: dropped, tier: 'archive' };
    // An archive may be a moment behind. Events that it lacks after that time it never gets.
    const nowMs = this.#options.clock.nowMs();
    progress.behind ??= { sinceMs: nowMs, through: dropped };
    if (nowMs - progress.behind.sinceMs < ARCHIVE_LAG_MS) return undefined;
    const lost = Math.min(progress.behind.through, lack.through);
    return { kind: 'gap', through: lost, tier: 'archive' };
  }
}

async function settle<T>(promise: Promise<T>): Promise<{ answer?: T; error?: unknown }> {
  try {
    return { answer: await promise };
  } catch (error) {
    return { error };
  }
}

function unavailable(cause: unknown): TidemarkError {
  return new TidemarkError('unavailable', 'The older part of the log cannot be read now.', {
    cause,
  });
}
