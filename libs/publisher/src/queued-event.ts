import { deadlineError } from './errors.ts';
import type { OutgoingEvent } from './outgoing-event.ts';

/** How long an event is tried. */
export interface QueuedEventOptions {
  readonly deadlineMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * An event in the queue, and the promise of its caller. The promise ends once: with what is stored, with an error, at
 * the deadline or by the caller's signal. What has ended is not sent any more.
 */
export class QueuedEvent<Result> {
  readonly event: OutgoingEvent;
  readonly stored: Promise<Result>;
  /** Resolves when `stored` has ended, however. */
  readonly ended: Promise<unknown>;
  #hasEnded = false;
  #lastFailure: unknown;
  #resolve!: (result: Result) => void;
  #reject!: (error: unknown) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal | undefined;
  readonly #abort = () => this.reject(this.#signal?.reason);

  constructor(event: OutgoingEvent, { deadlineMs, signal }: QueuedEventOptions) {
    this.event = event;
    this.stored = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    this.ended = this.stored.catch(() => undefined);
    this.#timer = setTimeout(
      () => this.reject(deadlineError(deadlineMs, this.#lastFailure)),
      deadlineMs,
    );
    this.#signal = signal;
    if (signal?.aborted) this.#abort();
    else signal?.addEventListener('abort', this.#abort);
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Keeps what an attempt met: the deadline tells of it. */
  noteFailure(error: unknown): void {
    this.#lastFailure = error;
  }

  resolve(result: Result): void {
    this.#end();
    this.#resolve(result);
  }

  reject(error: unknown): void {
    this.#end();
    this.#reject(error);
  }

  #end(): void {
    this.#hasEnded = true;
    clearTimeout(this.#timer);
    this.#signal?.removeEventListener('abort', this.#abort);
  }
}
