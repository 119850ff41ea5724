import { setTimeout as sleep } from 'node:timers/promises';
import { type Appended, type NatsLink, waitForStream } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';

/** How long an append that is stored waits for the epoch that its cursor needs. */
const EPOCH_WAIT_MS = 400;

/**
 * The stream's incarnation as of now. A cursor with the wrong epoch would send its client to a
 * place that does not exist, so the epoch is forgotten and read again whenever the stream may have
 * become another one.
 *
 *     unknown ── read ──> known
 *        ^                  │  NATS is back, or a sequence went backwards
 *        └──────────────────┘
 */
export class Epoch {
  readonly #link: NatsLink;
  readonly #log: Logger;
  readonly #signal: AbortSignal;
  #value: string | undefined;
  #highestSequence = 0;
  #read: { readonly done: Promise<void>; readonly abort: AbortController } | undefined;

  constructor(link: NatsLink, log: Logger, signal: AbortSignal) {
    this.#link = link;
    this.#log = log;
    this.#signal = signal;
    link.onReconnect(() => this.#readAgain());
    this.#readAgain();
  }

  /** `undefined` while it is being read. */
  get value(): string | undefined {
    return this.#value;
  }

  /** The epoch that an append was stored in. @throws TidemarkError `unavailable` */
  async of({ sequence, duplicate }: Appended): Promise<string> {
    if (!duplicate) {
      if (sequence < this.#highestSequence) this.#readAgain();
      this.#highestSequence = sequence;
    }
    if (this.#value === undefined) await Promise.race([this.#read?.done, sleep(EPOCH_WAIT_MS)]);
    if (this.#value !== undefined) return this.#value;
    throw new TidemarkError('unavailable', 'The event is stored; its cursor is not known yet.', {
      retryAfterSeconds: 1,
    });
  }

  #readAgain(): void {
    // What is being read was asked over an older connection, and its answer may never come.
    this.#read?.abort.abort();
    this.#value = undefined;
    const abort = new AbortController();
    const signal = AbortSignal.any([this.#signal, abort.signal]);
    const done = waitForStream(this.#link, { log: this.#log, signal }).then(
      ({ epoch }) => {
        // A read that was aborted can still succeed; the one that followed it decides.
        if (!signal.aborted) this.#value = epoch;
      },
      (error) => {
        if (!signal.aborted) throw error;
      },
    );
    this.#read = { done, abort };
  }
}
