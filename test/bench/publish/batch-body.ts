import { COUNTER_AT, COUNTER_DIGITS, layOut, writeDigits } from '../wire/event-layout.ts';

export interface BatchBodyOptions {
  /** Makes the source of these events differ from that of all others. */
  readonly prefix: string;
  readonly eventsEach: number;
  readonly eventBytes: number;
  readonly topics: number;
}

/** The body of a request, of which only the ids change from one to the next. */
export class BatchBody {
  readonly contentType: string;
  bytes: Buffer;
  readonly #counters: number[] = [];
  #count = 0;

  constructor({ prefix, eventsEach, eventBytes, topics }: BatchBodyOptions) {
    const isBatch = eventsEach > 1;
    this.contentType = isBatch
      ? 'application/cloudevents-batch+json'
      : 'application/cloudevents+json';
    const parts: Buffer[] = [];
    let length = 0;
    const add = (part: Buffer) => {
      parts.push(part);
      length += part.length;
    };
    if (isBatch) add(Buffer.from('['));
    for (let index = 0; index < eventsEach; index++) {
      if (index > 0) add(Buffer.from(','));
      this.#counters.push(length + COUNTER_AT);
      // A topic of the connection, so that no two publishers share the order of one.
      add(layOut(`publish.${prefix}.${index % topics}`, eventBytes));
    }
    if (isBatch) add(Buffer.from(']'));
    this.bytes = Buffer.concat(parts);
  }

  /** Goes on in a larger buffer that has these bytes at a place. */
  moveInto(buffer: Buffer, at: number): void {
    this.bytes = buffer.subarray(at, at + this.bytes.length);
  }

  /** Gives all events new ids. The bytes of the last ones must have been sent. */
  next(): void {
    for (const at of this.#counters) writeDigits(this.bytes, at, COUNTER_DIGITS, ++this.#count);
  }
}
