import { createPublisher, type HttpPublisherOptions, type Publisher } from '@tidemark/publisher';
import { expect } from 'vitest';
import type { System } from './system.ts';

/** Publishers to one system with the source `/shop`, and what else a test opens. */
export class Publishers {
  readonly #options: HttpPublisherOptions;
  readonly #opened: { stop(): unknown }[] = [];

  constructor({ ingest }: Pick<System, 'ingest'>, token: string) {
    this.#options = { url: ingest.url, token, source: '/shop' };
  }

  /** @param options other than those of this system */
  open(options: Partial<HttpPublisherOptions> = {}): Publisher {
    const publisher = createPublisher({ ...this.#options, ...options });
    this.keep({ stop: () => publisher.close({ withinMs: 0 }) });
    return publisher;
  }

  /** Ends this too, before what was opened earlier. */
  keep<Kept extends { stop(): unknown }>(one: Kept): Kept {
    this.#opened.push(one);
    return one;
  }

  /** Ends what is open, the last one first. */
  async end(): Promise<void> {
    for (const one of this.#opened.splice(0).reverse()) await one.stop();
  }
}

/** Matches an error of the library. */
export function publisherError(code: string, more: object = {}): unknown {
  return expect.objectContaining({ name: 'TidemarkPublisherError', code, ...more });
}
