import { type Lineage, TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { AppendClock } from './append-clock.ts';
import type { Appended } from './appender.ts';
import type { NatsLink } from './link.ts';
import { onStreamChange, type StreamState, waitForStream } from './stream-state.ts';

/** How long an append waits for the epoch that it needs while that is read. */
const EPOCH_WAIT_MS = 400;

/**
 * How long appends are refused while replay gives a log that lost its end a new epoch. Replay believes the
 * end of a replicated stream after 10 s (`OLDER_BELIEVED_MS`).
 */
const LOSS_WAIT_MS = 15_000;

/** The pause between two looks at a log that lost its end. */
const LOSS_PAUSE_MS = 100;

export interface EpochOptions {
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly clock: AppendClock;
  /** Whether the stream has this append. Fails where NATS does not tell. */
  readonly isStored: (append: Appended) => Promise<boolean>;
}

/**
 * The stream's epoch as of now. A cursor with the wrong epoch would name an event that does not exist,
 * so the epoch is dropped and read again whenever the stream may have become another one.
 *
 *     unknown ── read ──> known
 *        ^                  │  NATS is back, the server reports a created, changed or deleted
 *        └──────────────────┘  stream, or a sequence went backwards
 *
 * It needs all of these: an advisory may be lost, and a sequence goes backwards only in a process that has
 * appended before. A stream that has lost an append of this process gets a new epoch from replay, and the
 * read waits for that.
 */
export class Epoch {
  readonly #link: NatsLink;
  readonly #options: EpochOptions;
  #value: Lineage | undefined;
  /** The last append, and the epoch that its cursor was given. */
  #last: { readonly append: Appended; readonly epoch: string } | undefined;
  #highestSequence = 0;
  #followsAdvisories = false;
  #read: { readonly done: Promise<void>; readonly abort: AbortController } | undefined;

  constructor(link: NatsLink, options: EpochOptions) {
    this.#link = link;
    this.#options = options;
    link.onConnect(() => this.#begin());
    if (link.connected) this.#begin();
  }

  /** With the epochs before it; `undefined` while it is being read. */
  get value(): Lineage | undefined {
    return this.#value;
  }

  /**
   * Notes that the stream has stored an append. Must be called in the order of the acknowledgements.
   *
   * @returns the epoch of its cursor; `undefined` while that is read
   */
  noteStored(append: Appended): string | undefined {
    const { sequence } = append;
    if (sequence < this.#highestSequence) this.#readAgain();
    this.#highestSequence = sequence;
    const epoch = this.#value?.epoch;
    if (epoch !== undefined) this.#last = { append, epoch };
    return epoch;
  }

  /**
   * The epoch of the cursor of an append that was stored while the epoch was not known.
   *
   * @throws TidemarkError `unavailable`
   */
  async ofStored(append: Appended): Promise<string> {
    const epoch = await this.now();
    this.#last = { append, epoch };
    return epoch;
  }

  /**
   * The present epoch.
   *
   * @throws TidemarkError `unavailable`
   */
  async now(): Promise<string> {
    const value = this.#value ?? (await this.waitForValue());
    if (value !== undefined) return value.epoch;
    throw new TidemarkError('unavailable', 'The event is stored; its cursor is not known yet.', {
      retryAfterSeconds: 1,
    });
  }

  /**
   * Waits a moment while the epoch is read.
   *
   * @returns `undefined` where that was not enough
   */
  async waitForValue(): Promise<Lineage | undefined> {
    const { clock, signal } = this.#options;
    const deadlineMs = clock.nowMs() + EPOCH_WAIT_MS;
    for (let leftMs = EPOCH_WAIT_MS; leftMs > 0; leftMs = deadlineMs - clock.nowMs()) {
      const waiting = new AbortController();
      const late = clock.pause(leftMs, waiting.signal).catch(() => undefined);
      await Promise.race([this.#read?.done ?? late, late]);
      waiting.abort();
      if (this.#value !== undefined || signal.aborted) break;
    }
    return this.#value;
  }

  #begin(): void {
    if (!this.#followsAdvisories) {
      this.#followsAdvisories = true;
      onStreamChange(this.#link, this.#options.logger, () => this.#readAgain());
    }
    this.#readAgain();
  }

  #readAgain(): void {
    // A read under way was sent over an older connection, and its answer may never come.
    this.#read?.abort.abort();
    this.#value = undefined;
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, abort.signal]);
    const done = this.#readWhole(signal).then(
      (lineage) => {
        // An aborted read can still succeed. The read after it decides.
        if (!signal.aborted) this.#value = lineage;
      },
      (error) => {
        if (!signal.aborted) throw error;
      },
    );
    this.#read = { done, abort };
  }

  /** Reads the epoch, and waits for the next one where the log lost its end in this one. */
  async #readWhole(signal: AbortSignal): Promise<Lineage> {
    const { logger, clock } = this.#options;
    let deadlineMs: number | undefined;
    for (;;) {
      const state = await waitForStream(this.#link, { logger, signal, clock });
      // Without an answer it is not known whether the log lost its end, and time alone does not tell.
      const keeps = await this.#keepsLast(state).catch(() => undefined);
      if (keeps || clock.nowMs() >= (deadlineMs ?? Number.POSITIVE_INFINITY)) return state;
      if (keeps === false && deadlineMs === undefined) {
        deadlineMs = clock.nowMs() + LOSS_WAIT_MS;
        logger.warn('the log lost its end: appends wait for its new epoch');
      }
      await clock.pause(LOSS_PAUSE_MS, signal);
    }
  }

  /** Whether a stream in the epoch of the last append still has it, unless retention removed it. */
  async #keepsLast({ epoch, firstSequence }: StreamState): Promise<boolean> {
    const last = this.#last;
    if (last?.epoch !== epoch || last.append.sequence < firstSequence) return true;
    return this.#options.isStored(last.append);
  }
}
