import {
  type LogRecord,
  type NatsLink,
  nextSequences,
  OrderedConsumer,
  readNextRecord,
  readStateReaching,
  readStreamState,
  type Scheduler,
  type StreamState,
} from '@tidemark/nats';
import { isLiteral, type LogBounds, toSubject } from '@tidemark/protocol';
import { EventEntry } from '../log/event-entry.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Slice } from '../log/tail.ts';
import type { ColdQuery, ScanLimits, StreamTier, TimeSearch } from './cold-reads.ts';
import { believedSlice, type CopySlice } from './copy-end.ts';
import { decodeRecord } from './decoding.ts';
import { RangeScan, READ_BYTES_MAX } from './range-scan.ts';

const ALL = new PatternSet(['>']);

export interface TierOptions {
  readonly link: NatsLink;
  readonly timeoutMs: number;
  /** Processes what is read in slices, so that a long read leaves time for others; on arrival where absent. */
  readonly scheduler?: Scheduler;
}

interface ScanOptions {
  /** Subjects that the server filters by; all messages if empty. */
  readonly subjects: readonly string[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

interface ConsumeOptions<T> extends ScanOptions {
  readonly after: number;
  /** Ends the read where it returns a result. */
  readonly onRecord: (record: LogRecord, pending: number) => T | undefined;
  /** Called where the read fails. What it returns, if anything, is then the result. */
  readonly onFailed: () => T | undefined;
}

/**
 * Reads ranges of the stream, each with an ordered consumer that is deleted after the read.
 * `ColdReads` bounds how many exist at once.
 */
export class StreamReader implements StreamTier {
  readonly #link: NatsLink;
  readonly #timeoutMs: number;
  readonly #scheduler: Scheduler | undefined;

  constructor({ link, timeoutMs, scheduler }: TierOptions) {
    this.#scheduler = scheduler;
    this.#link = link;
    this.#timeoutMs = timeoutMs;
  }

  get connected(): boolean {
    return this.#link.connected;
  }

  async bounds(): Promise<LogBounds> {
    return this.#state();
  }

  async boundsReaching(sequence: number): Promise<LogBounds> {
    return required(await readStateReaching(this.#link, sequence));
  }

  async readSlice(query: ColdQuery, signal?: AbortSignal): Promise<Slice> {
    const { after, through, patterns } = query;
    const slice = await this.#readCopy(query, signal);
    const isPart = slice.through < through && slice.delivered?.first === after + 1;
    if (isPart || !(await this.#state()).replicated) return slice;
    return believedSlice(slice, query, (last) => nextMatch(this.#link, patterns, last, through));
  }

  /** It is never filtered: the subjects of many readers are much of the stream, and the server is slow with many. */
  async readSlices(
    queries: readonly ColdQuery[],
    { signal, isAwaited }: ScanLimits,
  ): Promise<(Slice | undefined)[]> {
    const scan = new RangeScan(queries, {
      nowMs: () => performance.now(),
      isAwaited,
      decode: (record: LogRecord) => {
        const decoded = decodeRecord(record);
        return decoded.valid ? decoded.event : undefined;
      },
    });
    const { after, through } = scan;
    const whole = await this.#walk(scan, signal);
    const isPart = whole.through < through && whole.delivered?.first === after + 1;
    if (isPart || !(await this.#state()).replicated) return scan.slices(whole.through);
    const range = { after, through };
    const believed = await believedSlice(whole, range, (last) => {
      return nextMatch(this.#link, ALL, last, through);
    });
    return scan.slices(believed.through);
  }

  /** @returns how far it came, without entries: the scan has them */
  async #walk(scan: RangeScan<LogRecord>, signal: AbortSignal | undefined): Promise<CopySlice> {
    const { after, through } = scan;
    let first = 0;
    let last = after;
    const sliceTo = (end: number): CopySlice => {
      return { entries: [], through: end, delivered: first > 0 ? { first, last } : undefined };
    };
    const slice = await this.#consume<CopySlice>({
      ...{ after, subjects: [], timeoutMs: this.#timeoutMs, signal },
      onRecord: (record, pending) => {
        if (record.sequence > through) return sliceTo(through);
        first ||= record.sequence;
        last = record.sequence;
        if (!scan.take(record) && last < through) return sliceTo(last);
        return pending === 0 ? sliceTo(through) : undefined;
      },
      onFailed: () => (last > after ? sliceTo(last) : undefined),
    });
    return slice ?? sliceTo(through);
  }

  /**
   * A read that has not ended when its time is over gives back what it has, and the sequence up to which
   * the server has looked: that of the last message. With a filter the server may look for longer than
   * that without a message. After half of the time without one, the read goes on without the filter.
   *
   * @throws Error when not one message arrived in the time, or the signal is aborted
   */
  async #readCopy(query: ColdQuery, signal: AbortSignal | undefined): Promise<CopySlice> {
    const subjects = narrowest(query.patterns);
    if (subjects.length === 0) {
      return this.#scan(query, { subjects, timeoutMs: this.#timeoutMs, signal });
    }
    const timeoutMs = this.#timeoutMs / 2;
    const filtered = await this.#scan(query, { subjects, timeoutMs, signal }).catch(
      () => undefined,
    );
    signal?.throwIfAborted();
    return filtered ?? this.#scan(query, { subjects: [], timeoutMs, signal });
  }

  async #scan(query: ColdQuery, options: ScanOptions): Promise<CopySlice> {
    const { epoch, patterns, after, through, eventsMax } = query;
    const entries: EventEntry[] = [];
    let bytes = 0;
    let first = 0;
    let scanned = after;
    const sliceTo = (end: number): CopySlice => {
      const delivered = first > 0 ? { first, last: scanned } : undefined;
      return { entries, through: end, delivered };
    };
    const slice = await this.#consume<CopySlice>({
      ...options,
      after,
      onRecord: (record, pending) => {
        if (record.sequence > through) return sliceTo(through);
        first ||= record.sequence;
        scanned = record.sequence;
        const { topic } = record;
        const isWanted = topic !== undefined && patterns.matches(topic);
        const decoded = isWanted ? decodeRecord(record) : undefined;
        const entry = decoded?.valid ? new EventEntry(epoch, decoded.event) : undefined;
        if (entry && entry.expiresMs > Date.now()) {
          entries.push(entry);
          bytes += entry.json.length;
        }
        const full = entries.length >= eventsMax || bytes >= READ_BYTES_MAX;
        if (full && record.sequence < through) return sliceTo(record.sequence);
        return pending === 0 ? sliceTo(through) : undefined;
      },
      // Messages arrive without a hole, so the part that did arrive is complete.
      onFailed: () => (scanned > after ? sliceTo(scanned) : undefined),
    });
    return slice ?? sliceTo(through);
  }

  /**
   * Searches by halves at the server that leads the stream: a consumer would search in a copy that may
   * lag, and find no event where the leader has one.
   */
  async sequenceBefore(timeMs: number): Promise<TimeSearch> {
    const { firstSequence, lastSequence } = await this.#state();
    let low = firstSequence;
    let high = lastSequence + 1;
    let earlier = 0;
    while (low < high) {
      const middle = low + Math.floor((high - low) / 2);
      // What was erased, or has expired meanwhile, is passed over.
      const record = await readNextRecord(this.#link, middle);
      if (!record) throw new Error('A server that leads the stream no more has answered.');
      if (record.timeMs >= timeMs) high = middle;
      else {
        earlier = record.sequence;
        low = earlier + 1;
      }
    }
    return { sequence: low - 1, found: earlier === low - 1 };
  }

  async #state(): Promise<StreamState> {
    return required(await readStreamState(this.#link));
  }

  /**
   * Reads until `onRecord` returns a result.
   *
   * @returns the result; that of `onFailed` where the read failed; `undefined` when nothing matches
   */
  #consume<T>(options: ConsumeOptions<T>): Promise<T | undefined> {
    const { after, subjects, timeoutMs, signal, onRecord, onFailed } = options;
    return new Promise((resolve, reject) => {
      const end = (act: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
        consumer.close();
        act();
      };
      const fail = (error: unknown): void => {
        const result = onFailed();
        end(() => (result === undefined ? reject(error) : resolve(result)));
      };
      const abort = (): void => end(() => reject(signal?.reason));
      const timer = setTimeout(() => {
        fail(new Error(`The read did not end within ${timeoutMs} ms.`));
      }, timeoutMs);
      const consumer = new OrderedConsumer(this.#link, {
        start: { after },
        subjects,
        timeoutMs,
        ...(this.#scheduler && { scheduler: this.#scheduler, isBrief: true }),
        onRecord: (record, { pending }) => {
          const result = onRecord(record, pending);
          if (result !== undefined) end(() => resolve(result));
        },
        onLost: (reason) => fail(new Error(reason)),
      });
      signal?.addEventListener('abort', abort);
      if (signal?.aborted) {
        abort();
        return;
      }
      consumer.open().then((matching) => {
        if (matching === 0) end(() => resolve(undefined));
      }, fail);
    });
  }
}

/** The narrowest filter that the server accepts; empty for all subjects. It refuses filters that overlap. */
function narrowest({ list }: PatternSet): readonly string[] {
  const separate = list.length === 1 || list.every(isLiteral);
  return separate ? list.map(toSubject) : [];
}

/** The first record after a sequence, up to another one, whose topic matches, as the leader has it. */
async function nextMatch(
  link: NatsLink,
  { list }: PatternSet,
  after: number,
  through: number,
): Promise<number | undefined> {
  const found = await nextSequences(link, { subjects: list.map(toSubject), after, through });
  return found.length === 0 ? undefined : Math.min(...found);
}

function required(state: StreamState | undefined): StreamState {
  if (!state) throw new Error('There is no stream.');
  return state;
}
