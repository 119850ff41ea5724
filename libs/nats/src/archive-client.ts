import {
  type ArchiveQuery,
  type EventsQuery,
  type LastAnswer,
  type LastQuery,
  type LogBounds,
  type NewestQuery,
  parseErrorAnswer,
  parseLastAnswer,
  parseNewestStep,
  parseSequenceAnswer,
  type SequenceRange,
  TidemarkError,
  tooManyTopics,
} from '@tidemark/protocol';
import type { ArchiveDirectory, ArchiveLack } from './archive-directory.ts';
import { type ArchiveAnswer, type CreateEvent, decodePage } from './archive-pages.ts';
import { askerHeaders } from './archive-requests.ts';
import { requestSubject } from './archive-server.ts';
import type { KnownArchive } from './known-archive.ts';
import { type NatsLink, pause } from './link.ts';

const ERROR_START = Buffer.from('{"error":');

const SETTLE_POLL_MS = 100;

/** Which archives there are, and how they are reached. */
export interface ArchiveClientOptions {
  readonly link: NatsLink;
  /** Kept up to date by `followArchives`. */
  readonly directory: ArchiveDirectory;
  /** How long one archive may take to answer. */
  readonly timeoutMs: number;
  /** A monotonic clock, in ms. The process's own if absent. */
  readonly nowMs?: () => number;
}

/** What is asked of a search for last events. */
export type LastSearchQuery = Omit<LastQuery, 'through' | 'place'>;

/** How far such a search goes. */
export interface LastSearchLimits {
  /** Most topics; beyond it the search ends with `limit_exceeded`. */
  readonly topicsMax: number;
  /** Ends the search between two of its steps. */
  readonly signal: AbortSignal;
}

/** The newest event of each of some topics, as of one sequence. */
export interface LastFound {
  /** Later events do not count. */
  readonly through: number;
  /** In ascending order. */
  readonly sequences: readonly number[];
  /** The parts up to `through` that no archive has. */
  readonly missing: readonly SequenceRange[];
}

/** A page that begins at the event asked for, or what none of the archives has. */
export type ArchiveResult<E> =
  | { readonly page: ArchiveAnswer<E>; readonly lack?: undefined }
  | { readonly page?: undefined; readonly lack: ArchiveLack };

/**
 * Reads the archives of the replay services over NATS: each request goes to one that holds what is
 * asked for, and to the next where that one fails.
 *
 * Every call throws TidemarkError `unavailable` when no archive can answer, or when one that may hold
 * the events does not. `isBusy` tells whether an archive has too much to do. The work counts for the user that a
 * call names, which is the `sub` of a token; without one it counts for this process.
 */
export class ArchiveClient {
  readonly #options: ArchiveClientOptions;
  readonly #nowMs: () => number;

  constructor(options: ArchiveClientOptions) {
    this.#options = options;
    this.#nowMs = options.nowMs ?? (() => performance.now());
  }

  /**
   * From the first to the last sequence of all archives of the epoch; of another epoch where only such
   * archives are known. It asks nobody, but waits until each archive has had time to announce itself.
   */
  async bounds(epoch: string): Promise<LogBounds> {
    const { directory, link } = this.#options;
    // An archive that has not been heard yet may begin earlier.
    while (!directory.settled && link.connected) await pause(SETTLE_POLL_MS);
    const bounds = directory.settled ? directory.bounds(epoch) : undefined;
    if (bounds) return bounds;
    throw unavailable();
  }

  /** Reads one page of a range. It ends where the archive that answers lacks a part. */
  async readPage<E>(
    query: ArchiveQuery,
    create: CreateEvent<E>,
    user?: string,
  ): Promise<ArchiveResult<E>> {
    const { directory } = this.#options;
    const { epoch, after } = query;
    const tried = new Set<KnownArchive>();
    let cause: unknown;
    for (;;) {
      const archive = directory.choose(epoch, after + 1, tried);
      if (!archive) break;
      tried.add(archive);
      try {
        const page = decodePage(await this.#request(archive, 'read', query, user), create);
        const [hole] = page.missing;
        if (hole) archive.noteMissing(hole);
        if (page.through > after && (!hole || hole.from > after + 1)) return { page };
      } catch (error) {
        cause = error;
      }
    }
    const lack = directory.lackAt(epoch, after + 1);
    if (lack && directory.settled) return { lack };
    throw unavailable(cause);
  }

  /**
   * The sequence of the newest event of some topics up to a sequence; 0 where there is none.
   *
   * @param runStep makes each of the requests that the search takes, when its user is next; at once if absent
   */
  async findNewest(
    { epoch, patterns, through }: Omit<NewestQuery, 'after' | 'found'>,
    user?: string,
    runStep: <T>(step: () => Promise<T>) => Promise<T> = (step) => step(),
  ): Promise<number> {
    const tried = new Set<KnownArchive>();
    let cause: unknown;
    for (;;) {
      const archive = this.#options.directory.choose(epoch, through, tried);
      if (!archive) throw unavailable(cause);
      tried.add(archive);
      try {
        let found = 0;
        for (let after: string | null = ''; after !== null; ) {
          const query: NewestQuery = { epoch, patterns, through, after, found };
          const answer = await runStep(() => this.#request(archive, 'newest', query, user));
          const step = parseNewestStep(toText(answer));
          // A replay of an older version answers with what this one step has found.
          found = Math.max(found, step.sequence);
          after = step.next;
        }
        return found;
      } catch (error) {
        cause = error;
      }
    }
  }

  /**
   * The sequences of the newest event of each of some topics, as of the end of an archive.
   *
   * @throws TidemarkError `limit_exceeded` beyond `topicsMax`; the reason of the signal when it is aborted
   */
  async findLast(
    query: LastSearchQuery,
    limits: LastSearchLimits,
    user?: string,
  ): Promise<LastFound> {
    const tried = new Set<KnownArchive>();
    let cause: unknown;
    for (;;) {
      const archive = this.#options.directory.chooseReaching(query.epoch, query.reach, tried);
      if (!archive) throw unavailable(cause);
      tried.add(archive);
      try {
        return await this.#searchLast({ archive, user }, query, limits);
      } catch (error) {
        if (limits.signal.aborted || isRefusal(error)) throw error;
        cause = error;
      }
    }
  }

  async #searchLast(
    { archive, user }: { readonly archive: KnownArchive; readonly user: string | undefined },
    query: LastSearchQuery,
    { topicsMax, signal }: LastSearchLimits,
  ): Promise<LastFound> {
    const sequences: number[] = [];
    let first: LastAnswer | undefined;
    for (let place: LastQuery['place'] | null = { topic: '' }; place !== null; ) {
      const step = { ...query, ...(first && { through: first.through }), place };
      const answer = parseLastAnswer(toText(await this.#request(archive, 'last', step, user)));
      signal.throwIfAborted();
      first ??= answer;
      for (const sequence of answer.sequences) sequences.push(sequence);
      if (sequences.length > topicsMax) throw tooManyTopics(topicsMax);
      place = answer.next;
    }
    const { through = 0, missing = [] } = first ?? {};
    return { through, missing, sequences: sequences.sort((left, right) => left - right) };
  }

  /** Reads the events of some sequences, as many as fit in one answer, from an archive that reaches the last one. */
  async readEvents<E>(
    query: EventsQuery,
    create: CreateEvent<E>,
    user?: string,
  ): Promise<ArchiveAnswer<E>> {
    const tried = new Set<KnownArchive>();
    const reach = query.sequences.at(-1) ?? 0;
    let cause: unknown;
    for (;;) {
      const archive = this.#options.directory.chooseReaching(query.epoch, reach, tried);
      if (!archive) throw unavailable(cause);
      tried.add(archive);
      try {
        const page = decodePage(await this.#request(archive, 'events', query, user), create);
        const [hole] = page.missing;
        if (!hole) return page;
        archive.noteMissing(hole);
      } catch (error) {
        cause = error;
      }
    }
  }

  /** The last sequence stored before that time (ms since 1970) that any archive has; 0 without one. */
  async sequenceBefore(epoch: string, timeMs: number, user?: string): Promise<number> {
    const archives = this.#options.directory.all(epoch);
    const answers = await Promise.allSettled(
      archives.map(async (archive) => {
        const answer = await this.#request(archive, 'sequence-at', { timeMs }, user);
        return parseSequenceAnswer(toText(answer));
      }),
    );
    const sequences = answers.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
    if (sequences.length > 0) return Math.max(...sequences);
    const [failed] = answers;
    throw unavailable(failed?.status === 'rejected' ? failed.reason : undefined);
  }

  async #request(
    archive: KnownArchive,
    operation: string,
    body: object,
    user: string | undefined,
  ): Promise<Uint8Array> {
    const { link, timeoutMs } = this.#options;
    if (!link.connected) throw unavailable();
    const subject = requestSubject(operation, archive.instance);
    const request = link.connection.request(subject, JSON.stringify(body), {
      timeout: timeoutMs,
      headers: askerHeaders(user, timeoutMs),
    });
    const { data: answer } = await archive.follow(request, this.#nowMs);
    if (!ERROR_START.equals(answer.subarray(0, ERROR_START.length))) return answer;
    throw parseErrorAnswer(toText(answer));
  }
}

/** Another archive would refuse it too, unlike one that has too much to do. */
function isRefusal(error: unknown): boolean {
  return error instanceof TidemarkError && error.code === 'limit_exceeded' && !error.retryable;
}

/** One for all: without replay each of thousands of reads asks in vain, and the stack of an error takes 30 µs. */
const UNAVAILABLE = unavailableSince(undefined);

function unavailable(cause?: unknown): TidemarkError {
  return cause === undefined ? UNAVAILABLE : unavailableSince(cause);
}

function unavailableSince(cause: unknown): TidemarkError {
  return new TidemarkError('unavailable', 'No archive can answer.', {
    cause,
    retryAfterSeconds: 1,
  });
}

function toText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
