import type { LogRecord } from '@tidemark/nats';
import {
  contextInHeaders,
  decodeStored,
  type LogBounds,
  type SequenceRange,
  type TraceContext,
} from '@tidemark/protocol';
import {
  batchAttributes,
  fail,
  type Logger,
  type Metrics,
  PROCESS_SPAN,
  type Tracer,
} from '@tidemark/telemetry';
import type { ArchiveStore } from '../archive/archive-store.ts';
import { type IndexedEvent, toIndexed } from '../sqlite/writer.ts';
import { type JudgedStream, judgeEpoch } from './epoch-judge.ts';
import { FileHealth, isFileFault } from './file-health.ts';
import { Progress } from './progress.ts';

/** Length of JSON at which a batch is written, so that large events do not fill the memory. */
const BATCH_LENGTH_MAX = 8 * 1024 * 1024;

/** Pause after a write that failed, such as on a full disk, before the feed starts again. */
const RETRY_MS = 2000;

/** Most sampled events of one transaction that its span links to. */
const LINKS_MAX = 128;

/** Least time between two log lines about skipped messages. */
const SKIPPED_LOG_MS = 1000;

export interface ProjectorOptions {
  readonly store: ArchiveStore;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  /** Most events in one transaction. */
  readonly batchMax: number;
  readonly stream: JudgedStream;
  /** Is told what a batch has stored, when it can be read. */
  readonly onWritten?: (events: readonly IndexedEvent[], missing: readonly SequenceRange[]) => void;
  /** Is told that the archive was aligned with the stream, and may have lost its end or its epoch. */
  readonly onAligned?: () => void;
  /** Asks for the feed to start again, which calls `alignWith`. */
  readonly restart: (reason: string) => void;
}

/**
 * Writes the stream into the archive. What arrived while the event loop was busy goes into one
 * transaction, so a single event is written at once and a flood in large batches.
 *
 *     idle --alignWith--> aligning --> following --write fails--> stalled
 *                             ^                                      |
 *                             +---------- restart, alignWith --------+
 *
 *     any --stop--> stopped
 */
export class Projector {
  readonly progress = new Progress();
  readonly #options: ProjectorOptions;
  readonly #file: FileHealth;
  readonly #skipped;
  readonly #batchSizes;
  #state: 'idle' | 'aligning' | 'following' | 'stalled' | 'stopped' = 'idle';
  #events: IndexedEvent[] = [];
  #missing: SequenceRange[] = [];
  /** The context of each sampled event that waits to be written. */
  #traced: TraceContext[] = [];
  #length = 0;
  /** The last sequence that was received, written or not. */
  #received = 0;
  #scheduled: NodeJS.Immediate | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** The stream's last sequence at the first start. */
  #target: number | undefined;
  #caughtUp = false;
  #skippedLoggedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ProjectorOptions) {
    this.#options = options;
    const { metrics, store } = options;
    this.#file = new FileHealth(options);
    this.#skipped = metrics.counter(
      'projection_skipped_total',
      'Messages of the stream that are not valid events.',
    );
    this.#batchSizes = metrics.histogram('projection_batch_events', 'Events in one transaction.', {
      buckets: [1, 10, 100, 1000, 10_000],
    });
    metrics.gauge('projection_position', 'Last sequence in the archive.', () => {
      return store.lastSequence;
    });
  }

  /** Whether the archive has once reached the end that the stream had at the first start. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Whether the last write of the archive succeeded. A failed one is repeated until it does. */
  get writable(): boolean {
    return this.#file.writable;
  }

  get #stopped(): boolean {
    return this.#state === 'stopped';
  }

  /**
   * Prepares the archive for a start of the feed.
   *
   * @returns the sequence after which to read
   * @throws what `judgeEpoch` throws; an error of SQLite
   */
  async alignWith(stream: LogBounds): Promise<number> {
    this.writeBatch();
    clearTimeout(this.#retry);
    if (!this.#stopped) this.#state = 'aligning';
    const { store, logger, stream: judged } = this.#options;
    const agreed = await judgeEpoch(store.archive, stream, judged, logger);
    if (this.#stopped) throw new Error('The projector is stopped.');
    const after = await this.#align(agreed);
    if (this.#stopped) return after;
    this.#received = after;
    this.#state = 'following';
    this.#options.onAligned?.();
    this.#target ??= agreed.lastSequence;
    this.#setProgress(after);
    // Without a record to write, no write will show that the file can be written again.
    if (after >= agreed.lastSequence) this.#file.noteWritten();
    return after;
  }

  async #align(stream: LogBounds): Promise<number> {
    const { store } = this.#options;
    try {
      const aligned = store.alignWith(stream);
      // Waiting requests learn at once of an end that lies further back, before the rest is removed.
      this.progress.setSequence(store.lastSequence);
      return await aligned;
    } catch (error) {
      this.#file.noteFault(error);
      throw error;
    }
  }

  /** Takes the stream's next record; it is written with the next batch. */
  receiveRecord(record: LogRecord): void {
    if (this.#state !== 'following' || record.sequence <= this.#received) return;
    if (record.sequence > this.#received + 1) {
      // What was erased is skipped, so a jump means that retention removed events before they were archived.
      this.#missing.push({ from: this.#received + 1, to: record.sequence - 1 });
    }
    this.#received = record.sequence;
    this.#collectTrace(record);
    this.#collectEvent(record);
    const { batchMax } = this.#options;
    if (this.#events.length >= batchMax || this.#length >= BATCH_LENGTH_MAX) this.writeBatch();
    else this.#scheduled ??= setImmediate(() => this.writeBatch());
  }

  /** Moves on past events that were erased before they came here. */
  skipErased({ from, to }: SequenceRange): void {
    if (this.#state === 'following' && from === this.#received + 1) this.#received = to;
  }

  /** Writes what has been received. */
  writeBatch(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const { archive } = this.#options.store;
    if (this.#state !== 'following' || this.#received === archive.bounds?.lastSequence) return;
    const events = this.#events;
    try {
      this.#writeTraced();
      this.#file.noteWritten();
      this.#batchSizes.observe(events.length);
      this.#options.onWritten?.(events, this.#missing);
      this.#clear();
    } catch (error) {
      this.#file.noteFault(error);
      this.#stall(error);
      return;
    }
    this.#setProgress(this.#received);
  }

  stop(): void {
    this.writeBatch();
    this.#state = 'stopped';
    clearTimeout(this.#retry);
  }

  #collectTrace({ headers }: LogRecord): void {
    const { tracer } = this.#options;
    if (!tracer.enabled || this.#traced.length >= LINKS_MAX) return;
    if (!tracer.follows(headers.get('traceparent'))) return;
    const context = contextInHeaders(headers);
    if (context) this.#traced.push(context);
  }

  #collectEvent(record: LogRecord): void {
    const { sequence, timeMs } = record;
    const stored = decodeStored(record);
    if (!stored.valid) {
      this.#skip(sequence, stored.reason);
      return;
    }
    const json = toText(stored.json);
    this.#length += json.length;
    this.#events.push(toIndexed({ sequence, timeMs, json }));
  }

  /**
   * Writes the batch. Its span belongs to the trace of its first sampled event and links to the
   * other sampled ones.
   */
  #writeTraced(): void {
    const { tracer, store } = this.#options;
    const write = () => store.archive.appendEvents(this.#events, this.#missing, this.#received);
    const [parent, ...links] = this.#traced;
    if (parent === undefined) {
      write();
      return;
    }
    const attributes = {
      ...batchAttributes(this.#events.length),
      'tidemark.projection.through': this.#received,
    };
    const span = tracer.span(PROCESS_SPAN, { kind: 'consumer', parent, links, attributes });
    try {
      write();
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  #stall(error: unknown): void {
    this.#state = 'stalled';
    this.#clear();
    if (!isFileFault(error)) {
      // A broken invariant ends the process, whoever called.
      setImmediate(() => {
        throw error;
      });
      return;
    }
    const { restart } = this.#options;
    this.#retry = setTimeout(() => restart('the archive could not be written'), RETRY_MS);
  }

  #clear(): void {
    this.#events = [];
    this.#missing = [];
    this.#traced = [];
    this.#length = 0;
  }

  #setProgress(sequence: number): void {
    this.progress.setSequence(sequence);
    if (this.#target !== undefined && sequence >= this.#target) this.#caughtUp = true;
  }

  #skip(sequence: number, reason: string): void {
    this.#skipped.inc();
    const nowMs = performance.now();
    if (nowMs - this.#skippedLoggedMs < SKIPPED_LOG_MS) return;
    this.#skippedLoggedMs = nowMs;
    this.#options.logger.warn({ sequence, reason }, 'skipped a message that is not a valid event');
  }
}

function toText({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString();
}
