import { type Applicant, Permits } from '@tidemark/fairness';
import type { LastFound } from '@tidemark/nats';
import type { GapReason, LogBounds, Position, Start } from '@tidemark/protocol';
import { isSameLog, TidemarkError, toPresent } from '@tidemark/protocol';
import type { EventLog } from '../log/event-log.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { ArchiveTier, StreamTier } from './cold-reads.ts';
import { StreamEnd } from './stream-end.ts';

/** How long `latest` waits for the stream's end, before the head counts as the end. */
const LATEST_WAIT_MS = 1000;

/**
 * Most starts that ask NATS or an archive at once. Further ones wait for their turn. Their permits are not
 * those of the cold reads, because a cursor that seems to be beyond the end can wait for seconds.
 */
const STARTS_MAX = 64;

/** A subscription begins with the first event after this sequence. */
export interface ResolvedStart {
  readonly sequence: number;
  /** The gap to send where the cursor that was asked for cannot be used. */
  readonly gap?: { readonly from: Position; readonly reason: GapReason };
  /** What comes before: the last events up to the sequence. */
  readonly last?: LastFound;
}

/** The log as the gateway knows it now. */
export type LogView = Pick<EventLog, 'epoch' | 'lineage' | 'tail'>;

export interface StartResolverOptions {
  readonly stream: StreamTier;
  readonly archive: Pick<ArchiveTier, 'bounds' | 'sequenceBefore'>;
  readonly clock: Clock;
}

/** Resolves a start to a position in the log (PROTOCOL.md section 4). */
export class StartResolver {
  readonly #stream: StreamTier;
  readonly #archive: StartResolverOptions['archive'];
  readonly #clock: Clock;
  readonly #end: StreamEnd;
  readonly #permits: Permits;

  constructor({ stream, archive, clock }: StartResolverOptions) {
    this.#stream = stream;
    this.#archive = archive;
    this.#clock = clock;
    this.#end = new StreamEnd(stream);
    this.#permits = new Permits({ max: STARTS_MAX, nowMs: () => clock.nowMs() });
  }

  /**
   * Answers without a promise where the tail knows the answer, as for most clients that return.
   *
   * @param applicant waits for a permit where the tail does not know the answer
   * @throws TidemarkError `unavailable` when NATS is needed and does not answer; the reason of the
   *   applicant's signal when it is aborted
   */
  resolve(
    start: ResolvableStart,
    log: LogView,
    applicant: () => Applicant,
  ): ResolvedStart | Promise<ResolvedStart> {
    if (start.kind === 'latest') return this.#latest(log);
    const known = start.kind === 'earliest' ? undefined : startInTail(start, log);
    if (known) return known;
    const asking = applicant();
    return this.#permits.use(asking, () => this.#ask(start, log, asking.flow.user));
  }

  async #ask(start: AskedStart, log: LogView, user: string): Promise<ResolvedStart> {
    if (start.kind === 'earliest') return this.#first(await this.#bounds());
    if (start.kind === 'time') return this.#atTime(start.timeMs, log, user);
    const { position } = start;
    return toPresent(log.lineage, position)
      ? this.#beyondTail(position, log)
      : this.#otherEpoch(position, log);
  }

  /**
   * The feed may be behind the stream, so the head is not the end. Where the stream does not tell its end,
   * nobody else knows it, and the head has to do.
   */
  #latest({ epoch, tail: { head } }: LogView): ResolvedStart | Promise<ResolvedStart> {
    if (!this.#stream.connected) return { sequence: head };
    return new Promise((resolve) => {
      const settle = (sequence: number): void => {
        cancel();
        resolve({ sequence });
      };
      const cancel = this.#clock.after(LATEST_WAIT_MS, () => resolve({ sequence: head }));
      this.#end.read().then(
        // The gap of a stream that this gateway has not seen yet follows when its log changes.
        (stream) => settle(stream.epoch === epoch ? Math.max(stream.lastSequence, head) : head),
        () => settle(head),
      );
    });
  }

  async #first(stream: LogBounds): Promise<ResolvedStart> {
    if (stream.firstSequence <= 1) return { sequence: 0 };
    // Without the archive its first event is unknown, and a later start would be a silent loss.
    const archive = await this.#archive.bounds(stream.epoch).catch(throwUnavailable);
    // An archive that has yet to follow the log into its present epoch holds its older events all the
    // same.
    const { firstSequence } = isSameLog(archive.epoch, stream.epoch) ? archive : stream;
    return { sequence: Math.min(firstSequence, stream.firstSequence) - 1 };
  }

  async #otherEpoch(from: Position, log: LogView): Promise<ResolvedStart> {
    const stream = await this.#bounds();
    // The cursor may be of a stream that this gateway has not seen yet.
    if (stream.epoch !== log.epoch) throwUnavailable(undefined);
    // A log can lose its newest epoch with its end. Replay has it still, and is about to tell what was lost.
    const archive = isSameLog(from.epoch, stream.epoch)
      ? await this.#archive.bounds(from.epoch).catch(() => undefined)
      : undefined;
    if (archive?.epoch === from.epoch) throwUnavailable(undefined);
    return { ...(await this.#first(stream)), gap: { from, reason: 'epoch' } };
  }

  /** Only a log that lost its end causes a gap. A gateway that is a moment behind does not. */
  async #beyondTail(from: Position, log: LogView): Promise<ResolvedStart> {
    const { epoch, lastSequence } = await this.#stream
      .boundsReaching(from.sequence)
      .catch(throwUnavailable);
    // If this gateway has not seen that stream yet, the gap is sent when its log changes.
    const exists = epoch !== log.epoch || from.sequence <= lastSequence;
    if (exists) return { sequence: from.sequence };
    return { sequence: lastSequence, gap: { from, reason: 'future' } };
  }

  async #atTime(timeMs: number, log: LogView, user: string): Promise<ResolvedStart> {
    if (log.tail.endsBefore(timeMs)) {
      const { head } = log.tail;
      const latest = await this.#latest(log);
      // The feed has all that the stream had, so there is nothing to search for.
      if (latest.sequence === head) return latest;
    }
    const { sequence, found } = await this.#stream.sequenceBefore(timeMs).catch(throwUnavailable);
    // An event that was read is proof. What the stream says about its bounds may be old.
    if (found || sequence === 0) return { sequence };
    const { epoch } = await this.#bounds();
    const archived = await this.#archive
      .sequenceBefore(epoch, timeMs, user)
      .catch(throwUnavailable);
    return { sequence: Math.min(sequence, archived) };
  }

  /** Read after this call, in one request for all who ask at one time. */
  #bounds(): Promise<LogBounds> {
    return this.#end.read().catch(throwUnavailable);
  }
}

/** `LastStarts` resolves the other one. */
type ResolvableStart = Exclude<Start, { kind: 'last' }>;

/** Starts that may need NATS. */
type AskedStart = Exclude<ResolvableStart, { kind: 'latest' }>;

/** @returns `undefined` where the tail does not know the start */
function startInTail(
  start: Exclude<AskedStart, { kind: 'earliest' }>,
  { tail, lineage }: LogView,
): ResolvedStart | undefined {
  if (start.kind === 'time') {
    const sequence = tail.sequenceBefore(start.timeMs);
    return sequence === undefined ? undefined : { sequence };
  }
  const { position } = start;
  const present = toPresent(lineage, position);
  if (!present) return undefined;
  const { sequence } = present;
  if (present.lost) return { sequence, gap: { from: position, reason: 'future' } };
  return sequence <= tail.head ? { sequence } : undefined;
}

/** The state of the log is unknown, so no start can be resolved. */
function throwUnavailable(cause: unknown): never {
  throw new TidemarkError('unavailable', 'The log cannot be read now.', {
    cause,
    retryAfterSeconds: 1,
  });
}
