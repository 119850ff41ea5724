import { backoffMs } from '../backoff.ts';
import type { Environment } from '../environment.ts';
import { closedError, TidemarkClientError } from '../errors.ts';
import { newId } from '../new-id.ts';
import { pause } from '../pause.ts';
import type { Tidemark } from '../types.ts';
import type { ChangeAnswer } from './wire.ts';

/** Most changes that may wait while the service is away. */
export const CHANGES_MAX = 100;

/**
 * Sends changes of an inbox one after the other, each under one `id` however often it is tried: the service makes it
 * once (PROTOCOL 14.4).
 */
export class ChangeQueue {
  readonly #tidemark: Pick<Tidemark, 'request'>;
  readonly #environment: Environment;
  readonly #closing: AbortSignal;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(tidemark: Pick<Tidemark, 'request'>, environment: Environment, closing: AbortSignal) {
    this.#tidemark = tidemark;
    this.#environment = environment;
    this.#closing = closing;
  }

  /** @throws TidemarkClientError `queue_full` or `closed`, at once; the promise rejects with what the service answered */
  send(path: string, change: object): Promise<ChangeAnswer> {
    if (this.#closing.aborted) throw closedError();
    if (this.#waiting >= CHANGES_MAX) {
      const message = 'Too many changes of the inbox wait for the service.';
      throw new TidemarkClientError({ code: 'queue_full', message, retryable: true });
    }
    this.#waiting++;
    const body = JSON.stringify({ ...change, id: newId(this.#environment.random) });
    const sent = this.#last.then(() => this.#send(path, body));
    this.#last = sent.catch(() => undefined).finally(() => this.#waiting--);
    return sent;
  }

  async #send(path: string, body: string): Promise<ChangeAnswer> {
    const signal = this.#closing;
    for (let attempt = 0; ; attempt++) {
      if (signal.aborted) throw closedError();
      try {
        const options = { body, service: 'replay', signal } as const;
        return (await this.#tidemark.request<ChangeAnswer>('POST', path, options)).body;
      } catch (error) {
        const { retryable, retryAfterMs = 0 } = error as Partial<TidemarkClientError>;
        if (!retryable) throw error;
        const ms = Math.max(backoffMs(attempt, this.#environment), retryAfterMs);
        await pause(ms, this.#environment, signal);
      }
    }
  }
}
