import type { LogRecord, StreamState } from '@tidemark/nats';
import { contextInHeaders, readStored, type TraceContext } from '@tidemark/protocol';
import {
  batchAttributes,
  fail,
  type Logger,
  type Metrics,
  PROCESS_SPAN,
  type Tracer,
} from '@tidemark/telemetry';
import type { Shelf } from '../archive/shelf.ts';
import type { MissingRange } from '../archive/windows.ts';
import type { NewEvent } from '../archive/writer.ts';
import { Progress } from './progress.ts';

/** JSON that gathers for one transaction, so that large events do not fill the memory. */
const BATCH_LENGTH_MAX = 8 * 1024 * 1024;

/** Pause after a write that failed, such as on a full disk, before the feed starts again. */
const RETRY_MS = 2000;

/** Sampled events of one transaction that its span names. */
const LINKS_MAX = 128;

/** At most one line in this time tells of skipped messages. */
const SKIPPED_LOG_MS = 1000;

export interface ProjectorOptions {
  readonly shelf: Shelf;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly batchMax: number;
  /** Asks for the feed to start again, which calls `align`. */
  readonly restart: (reason: string) => void;
}

/**
 * Writes the stream into the archive: what arrived while the event loop was busy goes into one
 * transaction, so a lone event is written at once and a flood in large batches.
 *
 *     idle --align--> following --write failed--> stalled --RETRY_MS, align--> following
 */
export class Projector {
  readonly progress = new Progress();
  readonly #options: ProjectorOptions;
  readonly #skipped;
  readonly #batchSizes;
  #events: NewEvent[] = [];
  #missing: MissingRange[] = [];
  /** The context of each sampled event that waits to be written. */
  #traced: TraceContext[] = [];
  #length = 0;
  /** The last sequence that was received, written or not. */
  #received = 0;
  #following = false;
  /** Set at a start, for the first record to be compared with the archive's last. */
  #unverified: StreamState | undefined;
  #scheduled: NodeJS.Immediate | undefined;
  #retry: NodeJS.Timeout | undefined;
  #target: number | undefined;
  #caughtUp = false;
  #skippedLoggedMs = Number.NEGATIVE_INFINITY;

  constructor(options: ProjectorOptions) {
    this.#options = options;
    const { metrics, shelf } = options;
    this.#skipped = metrics.counter(
      'projection_skipped_total',
      'Messages of the stream that are no valid events.',
    );
    this.#batchSizes = metrics.histogram('projection_batch_events', 'Events in one transaction.', {
      buckets: [1, 10, 100, 1000, 10_000],
    });
    metrics.gauge('projection_position', 'Last sequence that was projected.', () => {
      return shelf.archive.position?.sequence ?? 0;
    });
  }

  /** Whether the end that the stream had at the start has been reached once. */
  get caughtUp(): boolean {
    return this.#caughtUp;
  }

  /** Before the feed starts: @returns the sequence after which it reads */
  align(state: StreamState): number {
    this.flush();
    clearTimeout(this.#retry);
    const after = this.#options.shelf.align(state);
    this.#received = after;
    this.#following = true;
    this.#target ??= state.lastSequence;
    this.#advance(after);
    // Reading the last record once more tells whether the stream still is what was projected.
    const overlaps = after >= state.firstSequence;
    this.#unverified = overlaps ? state : undefined;
    return overlaps ? after - 1 : after;
  }

  receive(record: LogRecord): void {
    if (!this.#following) return;
    if (this.#unverified) this.#verify(record, this.#unverified);
    if (!this.#following || record.sequence <= this.#received) return;
    if (record.sequence > this.#received + 1) {
      // Nothing is ever deleted from the middle of this stream, so a jump means that retention
      // was faster than the projection.
      this.#missing.push({ from: this.#received + 1, to: record.sequence - 1 });
    }
    this.#received = record.sequence;
    this.#follow(record);
    this.#read(record);
    const { batchMax } = this.#options;
    if (this.#events.length >= batchMax || this.#length >= BATCH_LENGTH_MAX) this.flush();
    else this.#scheduled ??= setImmediate(() => this.flush());
  }

  /** Writes what has been received. */
  flush(): void {
    clearImmediate(this.#scheduled);
    this.#scheduled = undefined;
    const { archive } = this.#options.shelf;
    if (!this.#following || this.#received === archive.position?.sequence) return;
    const events = this.#events;
    try {
      this.#write();
      this.#batchSizes.observe(events.length);
      this.#clear();
    } catch (error) {
      this.#stall(error);
      return;
    }
    this.#advance(this.#received);
  }

  stop(): void {
    this.flush();
    this.#following = false;
    clearTimeout(this.#retry);
  }

  #follow({ headers }: LogRecord): void {
    const { tracer } = this.#options;
    if (!tracer.enabled || this.#traced.length >= LINKS_MAX) return;
    if (!tracer.follows(headers.get('traceparent'))) return;
    const context = contextInHeaders(headers);
    if (context) this.#traced.push(context);
  }

  /** The span of a transaction belongs to the trace of its first sampled event, and links to the others. */
  #write(): void {
    const { tracer, shelf } = this.#options;
    const append = () => shelf.archive.append(this.#events, this.#missing, this.#received);
    const [parent, ...links] = this.#traced;
    if (parent === undefined) {
      append();
      return;
    }
    const attributes = {
      ...batchAttributes(this.#events.length),
      'tidemark.projection.through': this.#received,
    };
    const span = tracer.span(PROCESS_SPAN, { kind: 'consumer', parent, links, attributes });
    try {
      append();
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  }

  #read(record: LogRecord): void {
    const { sequence, timeMs, topic } = record;
    if (topic === undefined) {
      this.#skip(sequence, 'the subject holds no topic');
      return;
    }
    const { payload, headers } = record;
    const stored = readStored({ topic, payload, headers });
    if (!stored.valid) {
      this.#skip(sequence, stored.reason);
      return;
    }
    const { type, source } = stored.event;
    const json = decode(stored.json);
    this.#length += json.length;
    this.#events.push({ sequence, timeMs, topic, type, source, json });
  }

  /**
   * A stream that lost its end in a crash may have grown past our position since. Its event there
   * is another one then, and how far back they differ is unknown: what it holds is read again.
   */
  #verify(record: LogRecord, { firstSequence }: StreamState): void {
    this.#unverified = undefined;
    const { shelf, restart } = this.#options;
    const kept = shelf.archive.event(record.sequence);
    if (!kept || record.topic === undefined) return;
    const { topic, payload, headers } = record;
    const stored = readStored({ topic, payload, headers });
    if (stored.valid && decode(stored.json) === kept.json) return;
    // The same message, which an earlier version read in another way.
    if (record.timeMs === kept.timeMs) return;
    this.#following = false;
    this.#clear();
    shelf.takeBack(firstSequence - 1, 'the stream has other events than the archive: reading anew');
    restart('the stream has other events than the archive');
  }

  #stall(error: unknown): void {
    this.#following = false;
    this.#clear();
    if (!isFileFault(error)) {
      // A broken invariant ends the process, whoever called.
      setImmediate(() => {
        throw error;
      });
      return;
    }
    const { log, restart } = this.#options;
    log.error({ err: error, retryMs: RETRY_MS }, 'the projection cannot be written');
    this.#retry = setTimeout(() => restart('the projection could not be written'), RETRY_MS);
  }

  #clear(): void {
    this.#events = [];
    this.#missing = [];
    this.#traced = [];
    this.#length = 0;
  }

  #advance(sequence: number): void {
    this.progress.advance(sequence);
    if (this.#target !== undefined && sequence >= this.#target) this.#caughtUp = true;
  }

  #skip(sequence: number, reason: string): void {
    this.#skipped.inc();
    const nowMs = performance.now();
    if (nowMs - this.#skippedLoggedMs < SKIPPED_LOG_MS) return;
    this.#skippedLoggedMs = nowMs;
    this.#options.log.warn({ sequence, reason }, 'skipped a message that is no valid event');
  }
}

function decode({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString();
}

function isFileFault(error: unknown): boolean {
  return error instanceof Error && error.name === 'SqliteError';
}
