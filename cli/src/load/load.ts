import type { Tidemark } from '@tidemark/client';
import { wait } from '../base/wait.ts';
import type { Api } from '../http/api.ts';
import { Histogram } from './histogram.ts';

/** A load that a person may put on a running system. */
export interface LoadOptions {
  readonly api: Api;
  /** A further connection of the same user. */
  readonly connect: () => Promise<Tidemark>;
  readonly topic: string;
  readonly connections: number;
  /** Events in a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
  readonly onProgress: (figures: LoadFigures) => Promise<void>;
}

/** What was measured so far. Times in ms. */
export interface LoadFigures {
  readonly elapsedMs: number;
  readonly published: number;
  readonly expected: number;
  readonly delivered: number;
  readonly deliveryMs: { readonly p50: number | undefined; readonly p99: number | undefined };
  readonly appendMs: { readonly p50: number | undefined; readonly p99: number | undefined };
}

/** Requests in a second. */
const REQUESTS_PER_SECOND = 20;

/** How long to wait for what is on its way at the end. */
const DRAIN_MS = 10_000;
const DRAIN_POLL_MS = 50;
const PROGRESS_MS = 500;

/** Most connections that open at once. */
const OPENING_AT_ONCE = 20;

/**
 * Opens connections that follow one topic, publishes to it at a rate, and measures how long each event takes to
 * each connection. It never sends faster than the answers come.
 */
export async function runLoad(options: LoadOptions): Promise<LoadFigures> {
  const run = new LoadRun(options);
  try {
    await run.open();
    await run.publish();
    return await run.drain();
  } finally {
    run.close();
  }
}

class LoadRun {
  readonly #options: LoadOptions;
  readonly #run = crypto.randomUUID();
  readonly #clients: Tidemark[] = [];
  readonly #delivery = new Histogram();
  readonly #append = new Histogram();
  #startMs = performance.now();
  #published = 0;
  #shownMs = 0;

  constructor(options: LoadOptions) {
    this.#options = options;
  }

  async open(): Promise<void> {
    const { connections, signal } = this.#options;
    for (let opened = 0; opened < connections; opened += OPENING_AT_ONCE) {
      signal.throwIfAborted();
      const count = Math.min(OPENING_AT_ONCE, connections - opened);
      await Promise.all(Array.from({ length: count }, () => this.#openOne()));
    }
    this.#startMs = performance.now();
  }

  async publish(): Promise<void> {
    const { rate, seconds, signal } = this.#options;
    const total = rate * seconds;
    for (let sent = 0; sent < total; ) {
      const dueMs = (sent / rate) * 1000;
      await wait(Math.max(0, this.#startMs + dueMs - performance.now()), signal);
      const count = Math.min(Math.ceil(rate / REQUESTS_PER_SECOND), total - sent);
      await this.#send(sent, count);
      sent += count;
      await this.#progress();
    }
  }

  /** Waits for what is on its way; what is missing then is missing. */
  async drain(): Promise<LoadFigures> {
    const endMs = performance.now() + DRAIN_MS;
    while (this.#delivery.count < this.figures().expected && performance.now() < endMs) {
      await wait(DRAIN_POLL_MS, this.#options.signal);
    }
    return this.figures();
  }

  figures(): LoadFigures {
    const quantiles = (times: Histogram) => ({
      p50: times.quantile(0.5),
      p99: times.quantile(0.99),
    });
    return {
      elapsedMs: performance.now() - this.#startMs,
      published: this.#published,
      expected: this.#published * this.#options.connections,
      delivered: this.#delivery.count,
      deliveryMs: quantiles(this.#delivery),
      appendMs: quantiles(this.#append),
    };
  }

  close(): void {
    for (const client of this.#clients) client.close();
  }

  async #openOne(): Promise<void> {
    const client = await this.#options.connect();
    this.#clients.push(client);
    const { topic, signal } = this.#options;
    const subscription = client.subscribe(topic, { signal });
    void subscription
      .each(({ data }) => {
        const { run, sentMs } = (data ?? {}) as { run?: string; sentMs?: number };
        if (run === this.#run && sentMs !== undefined)
          this.#delivery.add(performance.now() - sentMs);
      })
      .catch(() => undefined);
    await subscription.live;
  }

  async #send(first: number, count: number): Promise<void> {
    const sentMs = performance.now();
    const events = Array.from({ length: count }, (_, index) => ({
      specversion: '1.0',
      id: `${this.#run}-${first + index}`,
      source: '/tidemark-cli/bench',
      type: 'tidemark.cli.bench',
      topic: this.#options.topic,
      // Nothing is left of a measurement after a while.
      expires: new Date(Date.now() + 3_600_000).toISOString(),
      data: { run: this.#run, sentMs },
    }));
    await this.#options.api.send({
      service: 'ingest',
      method: 'POST',
      path: '/v1/events',
      body: events,
      headers: { 'content-type': 'application/cloudevents-batch+json' },
      attempts: 4,
    });
    this.#append.add(performance.now() - sentMs);
    this.#published += count;
  }

  async #progress(): Promise<void> {
    if (performance.now() - this.#shownMs < PROGRESS_MS) return;
    this.#shownMs = performance.now();
    await this.#options.onProgress(this.figures());
  }
}
