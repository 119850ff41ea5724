import { setTimeout as sleep } from 'node:timers/promises';

const RETRY_MS = 50;

/** Most events in one request, as ingest's default has it. */
const BATCH_EVENTS_MAX = 1000;

export interface NewEvent {
  readonly id: string;
  readonly type: string;
  readonly source: string;
  readonly [attribute: string]: unknown;
}

/** What ingest answers for a stored event. */
export interface PublishedEvent {
  readonly id: string;
  readonly source: string;
  readonly topic: string;
  readonly cursor: string;
  readonly duplicate: boolean;
}

/** A service that emits events through ingest as PROTOCOL.md asks: it repeats what got no 201. */
export class Publisher {
  readonly #url: string;
  readonly #token: string;
  /** Requests that were not answered with 201, by status; 0 where no answer came. */
  readonly refusals: number[] = [];

  constructor(ingestUrl: string, token: string) {
    this.#url = `${ingestUrl}/v1/events`;
    this.#token = token;
  }

  /** Stores an event, however long that takes, always under the same `id`. */
  async store(event: NewEvent): Promise<PublishedEvent> {
    return (await this.#repeat('application/json', event)) as PublishedEvent;
  }

  /** Stores events one after the other: in order, even if some are refused at first. */
  async storeInOrder(events: readonly NewEvent[]): Promise<PublishedEvent[]> {
    const stored: PublishedEvent[] = [];
    for (const event of events) stored.push(await this.store(event));
    return stored;
  }

  /** Stores events in batches; those of a batch that are refused at first come after the others. */
  async storeAll(events: readonly NewEvent[]): Promise<PublishedEvent[]> {
    const stored: PublishedEvent[] = [];
    for (let start = 0; start < events.length; start += BATCH_EVENTS_MAX) {
      const batch = events
        .slice(start, start + BATCH_EVENTS_MAX)
        .map((event) => ({ specversion: '1.0', ...event }));
      const answer = await this.#repeat('application/cloudevents-batch+json', batch);
      stored.push(...(answer as PublishedEvent[]));
    }
    return stored;
  }

  async #repeat(contentType: string, body: unknown): Promise<unknown> {
    for (;;) {
      const response = await this.#post(contentType, body);
      if (response?.status === 201) return response.json();
      const text = await response?.text();
      this.refusals.push(response?.status ?? 0);
      const final = response && response.status < 500 && response.status !== 429;
      if (final) throw new Error(`${response.status}: ${text}`);
      await sleep(RETRY_MS);
    }
  }

  async #post(contentType: string, body: unknown): Promise<Response | undefined> {
    try {
      return await fetch(this.#url, {
        method: 'POST',
        headers: { 'content-type': contentType, authorization: `Bearer ${this.#token}` },
        body: JSON.stringify(body),
      });
    } catch {
      // The connection failed: whether the event was stored, the repeat tells.
      return undefined;
    }
  }
}
