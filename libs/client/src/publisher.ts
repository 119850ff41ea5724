import { closedError, TidemarkClientError } from './errors.ts';
import { newId } from './new-id.ts';
import type { Requests } from './requests.ts';
import type { NewEvent, Published, PublishOptions } from './types.ts';

/** What may wait while the service is away. */
export const WAITING_MAX = 1000;
export const WAITING_BYTES_MAX = 4 << 20;

interface Waiting {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal | undefined;
  readonly resolve: (published: Published) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Sends events one after the other, so that their order survives a failure (PROTOCOL 10). Each keeps its `id`, so that
 * an attempt whose answer was lost stores nothing twice.
 */
export class Publisher {
  readonly #requests: Requests;
  readonly #random: () => number;
  readonly #closing: AbortSignal;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  #isSending = false;

  constructor(requests: Requests, random: () => number, closing: AbortSignal) {
    this.#requests = requests;
    this.#random = random;
    this.#closing = closing;
  }

  publish(event: NewEvent, { ifMatch, signal }: PublishOptions = {}): Promise<Published> {
    const body = JSON.stringify({ ...event, id: event.id ?? newId(this.#random) });
    if (this.#waiting.length >= WAITING_MAX || this.#bytes + body.length > WAITING_BYTES_MAX) {
      const message = 'Too many events wait for the service.';
      throw new TidemarkClientError({ code: 'queue_full', message, retryable: true });
    }
    return new Promise((resolve, reject) => {
      this.#bytes += body.length;
      this.#waiting.push({ body, headers: condition(ifMatch), signal, resolve, reject });
      if (!this.#isSending) void this.#sendAll();
    });
  }

  async #sendAll(): Promise<void> {
    this.#isSending = true;
    for (let one = this.#waiting[0]; one; one = this.#waiting[0]) {
      await this.#send(one).then(one.resolve, one.reject);
      this.#waiting.shift();
      this.#bytes -= one.body.length;
    }
    this.#isSending = false;
  }

  async #send({ body, headers, signal }: Waiting): Promise<Published> {
    for (let attempt = 0; ; attempt++) {
      if (this.#closing.aborted) throw closedError();
      signal?.throwIfAborted();
      try {
        const options = { body, headers, service: 'ingest' as const, ...(signal && { signal }) };
        return (await this.#requests.once('POST', '/v1/events', options)).body as Published;
      } catch (error) {
        if (!(error instanceof TidemarkClientError) || !error.retryable) throw error;
        await this.#requests.pause(attempt, error, signal);
      }
    }
  }
}

function condition(ifMatch: PublishOptions['ifMatch']): Record<string, string> {
  if (ifMatch === undefined) return {};
  if (ifMatch === null) return { 'if-none-match': '*' };
  return {
    'if-match': [ifMatch]
      .flat()
      .map((cursor) => `"${cursor}"`)
      .join(', '),
  };
}
