import { setTimeout as sleep } from 'node:timers/promises';
import { type Lineage, TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { Appended } from './appender.ts';
import type { NatsLink } from './link.ts';
import { onStreamChange, waitForStream } from './stream-state.ts';

/** How long an append waits for the epoch that it needs while that is read. */
const EPOCH_WAIT_MS = 400;

/**
 * The stream's epoch as of now. A cursor with the wrong epoch would name an event that does not exist,
 * so the epoch is dropped and read again whenever the stream may have become another one.
 *
 *     unknown ── read ──> known
 *        ^                  │  NATS is back, the server reports a created, changed or deleted
 *        └──────────────────┘  stream, or a sequence went backwards
 *
 * It needs all of these: an advisory may be lost, and a sequence goes backwards only in a process that has
 * appended before.
 */
export class Epoch {
  readonly #link: NatsLink;
  readonly #logger: Logger;
  readonly #signal: AbortSignal;
  #value: Lineage | undefined;
  #highestSequence = 0;
  #followsAdvisories = false;
  #read: { readonly done: Promise<void>; readonly abort: AbortController } | undefined;

  constructor(link: NatsLink, logger: Logger, signal: AbortSignal) {
    this.#link = link;
    this.#logger = logger;
    this.#signal = signal;
    link.onConnect(() => this.#begin());
    if (link.connected) this.#begin();
  }

  /** With the epochs before it; `undefined` while it is being read. */
  get value(): Lineage | undefined {
    return this.#value;
  }

  /**
   * The epoch that an append was stored in.
   *
   * @throws TidemarkError `unavailable`
   */
  async of({ sequence, duplicate }: Appended): Promise<string> {
    if (!duplicate) {
      if (sequence < this.#highestSequence) this.#readAgain();
      this.#highestSequence = sequence;
    }
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
    const deadlineMs = performance.now() + EPOCH_WAIT_MS;
    for (let leftMs = EPOCH_WAIT_MS; leftMs > 0; leftMs = deadlineMs - performance.now()) {
      const waiting = new AbortController();
      const late = sleep(leftMs, undefined, { signal: waiting.signal }).catch(() => undefined);
      await Promise.race([this.#read?.done ?? late, late]);
      waiting.abort();
      if (this.#value !== undefined || this.#signal.aborted) break;
    }
    return this.#value;
  }

  #begin(): void {
    if (!this.#followsAdvisories) {
      this.#followsAdvisories = true;
      onStreamChange(this.#link, this.#logger, () => this.#readAgain());
    }
    this.#readAgain();
  }

  #readAgain(): void {
    // A read under way was sent over an older connection, and its answer may never come.
    this.#read?.abort.abort();
    this.#value = undefined;
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#signal, abort.signal]);
    const done = waitForStream(this.#link, { logger: this.#logger, signal }).then(
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
}
