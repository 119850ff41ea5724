import type { LogBounds, SequenceRange } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { type NatsLink, pause } from './link.ts';
import { type HoleVerdict, OrderedConsumer } from './ordered-consumer.ts';
import type { LogRecord } from './records.ts';
import type { Scheduler } from './scheduler.ts';
import { readNextRecord, readStreamState, STREAM_NAME } from './stream-state.ts';

const OPEN_TIMEOUT_MS = 5000;
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 2000;

/** What a feed reads, and who receives it. */
export interface FeedOptions {
  readonly link: NatsLink;
  /** The events stream if absent. */
  readonly stream?: string;
  readonly logger: Logger;
  /** Processes records in slices; on arrival where absent. */
  readonly scheduler?: Scheduler;
  readonly onRecord: (record: LogRecord) => void;
  /** Is told of sequences that were erased, before the record behind them. Without it nobody asks about holes. */
  readonly onErased?: (hole: SequenceRange) => void;
  /**
   * Called before each start, the first one and those after a loss, with the bounds of the stream.
   * Returns the sequence after which to read. If it throws, the start is repeated.
   */
  readonly onStart: (state: LogBounds) => number | Promise<number>;
  /** Called after each start with the number of records that the stream held. Some may have arrived. */
  readonly onOpen?: (waiting: number) => void;
}

/**
 * Reads a stream in order, from a sequence on, for as long as the process lives.
 *
 *     stopped --start()--> opening --consumer is there--> reading
 *                             ^                              |
 *                             +--- loss, silence, reconnect -+
 *
 * After every fault it creates a new consumer, which reads after the last sequence that arrived.
 */
export class Feed {
  readonly #options: FeedOptions;
  #consumer: OrderedConsumer | undefined;
  #stopping: AbortController | undefined;
  #opening = false;
  #stale = false;
  #openedMs = Number.NEGATIVE_INFINITY;
  /** How long the next start waits. A consumer that is lost soon after its start makes it longer. */
  #waitMs = 0;
  #forgetConnect: () => void = () => {};

  constructor(options: FeedOptions) {
    this.#options = options;
  }

  /** Whether it receives the records of the stream. */
  get reading(): boolean {
    return this.#consumer !== undefined && this.#options.link.connected;
  }

  /** Starts to read, and retries until that succeeds. */
  start(): void {
    this.#stopping = new AbortController();
    // The consumer lives in the server's memory, so it may be gone after a reconnection.
    this.#forgetConnect = this.#options.link.onConnect(() => {
      this.#waitMs = 0;
      this.restart('NATS came back');
    });
    void this.#open();
  }

  /** Stops for good. */
  stop(): void {
    this.#forgetConnect();
    this.#stopping?.abort(new Error('The feed is stopped.'));
    this.#drop();
  }

  /** Starts again with a new consumer. */
  restart(reason: string): void {
    if (this.#stopping?.signal.aborted ?? true) return;
    const { logger, stream = STREAM_NAME } = this.#options;
    logger.info({ stream, reason }, 'the feed starts again');
    // A record that cannot be processed ends each consumer soon after its start.
    const wasSteady = this.#consumer && performance.now() - this.#openedMs > RETRY_LAST_MS;
    if (wasSteady) this.#waitMs = 0;
    this.#drop();
    if (this.#opening) this.#stale = true;
    else void this.#open();
  }

  #drop(): void {
    this.#consumer?.close();
    this.#consumer = undefined;
  }

  async #open(): Promise<void> {
    const signal = this.#stopping?.signal;
    this.#opening = true;
    while (signal && !signal.aborted) {
      await pause(this.#waitMs, signal).catch(() => undefined);
      if (signal.aborted) break;
      const waitMs = this.#waitLonger();
      this.#stale = false;
      try {
        const consumer = await this.#openOnce();
        if (consumer && !this.#stale && !signal.aborted) {
          this.#consumer = consumer;
          this.#openedMs = performance.now();
          break;
        }
        consumer?.close();
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        const { logger, stream = STREAM_NAME } = this.#options;
        logger.warn({ stream, reason, waitMs }, 'the feed could not start');
      }
    }
    this.#opening = false;
  }

  /** Doubles the wait before the next start. @returns it, in ms */
  #waitLonger(): number {
    this.#waitMs = Math.min(Math.max(this.#waitMs * 2, RETRY_FIRST_MS), RETRY_LAST_MS);
    return this.#waitMs;
  }

  async #openOnce(): Promise<OrderedConsumer | undefined> {
    const {
      link,
      stream = STREAM_NAME,
      onStart,
      onRecord,
      onErased,
      onOpen,
      scheduler,
    } = this.#options;
    const state = await readStreamState(link, stream);
    if (!state) return undefined;
    const after = await onStart(state);
    const noted = (record: LogRecord): void => {
      if (stream === STREAM_NAME) link.knownEnd.noteSequence(record.sequence);
      onRecord(record);
    };
    const consumer = new OrderedConsumer(link, {
      stream,
      start: { after },
      timeoutMs: OPEN_TIMEOUT_MS,
      ...(scheduler && { scheduler }),
      ...(onErased && { holes: { onErased, judge: (hole) => judgeHole(link, hole) } }),
      onRecord: noted,
      onLost: (reason) => this.restart(reason),
    });
    const waiting = await consumer.open();
    onOpen?.(waiting);
    return consumer;
  }
}

/**
 * Finds out why the stream has no messages at some sequences. A replicated stream has copies that drop old messages
 * at different moments, so the server that leads it must lack them as well.
 */
async function judgeHole(link: NatsLink, hole: SequenceRange): Promise<HoleVerdict> {
  const before = await readStreamState(link);
  const replicated = before?.replicated ?? false;
  const next = replicated ? await readNextRecord(link, hole.from) : undefined;
  if (replicated && (next === undefined || next.sequence <= hole.to)) {
    throw new Error('The server that leads the stream has other messages than the copy.');
  }
  const state = replicated ? await readStreamState(link) : before;
  if (!state) throw new Error('There is no stream.');
  return { firstSequence: state.firstSequence, forArrived: !replicated };
}
