import type { LogBounds } from '@tidemark/protocol';
import type { StreamTier } from './cold-reads.ts';

/**
 * The stream's end as of now, for any number of callers. One request is under way at a time. It serves
 * all who called before it was sent, because its answer may be older than a later call.
 */
export class StreamEnd {
  readonly #stream: Pick<StreamTier, 'bounds'>;
  /** The request that has not been sent yet. */
  #next: Promise<LogBounds> | undefined;
  /** Ends with the request that was begun last. */
  #underWay: Promise<unknown> | undefined;

  constructor(stream: Pick<StreamTier, 'bounds'>) {
    this.#stream = stream;
  }

  /**
   * The bounds of the stream, read after this call.
   *
   * @throws what the stream throws
   */
  read(): Promise<LogBounds> {
    this.#next ??= this.#begin();
    return this.#next;
  }

  async #begin(): Promise<LogBounds> {
    const before = this.#underWay;
    const request = this.#send(before);
    const ended = request.then(
      () => undefined,
      () => undefined,
    );
    this.#underWay = ended;
    try {
      return await request;
    } finally {
      if (this.#underWay === ended) this.#underWay = undefined;
    }
  }

  async #send(before: Promise<unknown> | undefined): Promise<LogBounds> {
    // Even without an earlier request it waits for the end of the turn, for others who call in it.
    await before;
    this.#next = undefined;
    return this.#stream.bounds();
  }
}
