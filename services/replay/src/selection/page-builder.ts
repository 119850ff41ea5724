import type { ArchivedEvent } from '@tidemark/protocol';
import { type LogRange, type Order, restBehind, restFrom } from '../sqlite/log-range.ts';

/** What one synchronous step may read of a range. */
export interface ReadRequest extends LogRange {
  readonly order: Order;
  readonly eventsMax: number;
  /** Bytes of JSON; one event is returned even when it alone is larger. */
  readonly bytesMax: number;
}

/** What a step found. It is done with the whole range when nothing remains. */
export interface SelectionPage {
  /** In the order of the request. */
  readonly events: readonly ArchivedEvent[];
  readonly remaining: LogRange;
}

/** Collects the events of one step until a limit of its request is reached. */
export class PageBuilder {
  readonly #request: ReadRequest;
  readonly #events: ArchivedEvent[] = [];
  #bytes = 0;
  #remaining: LogRange | undefined;

  constructor(request: ReadRequest) {
    this.#request = request;
  }

  /** Whether a limit of the request is reached. */
  get full(): boolean {
    return this.#remaining !== undefined;
  }

  /** The sequence of the last event of the page; `undefined` while it has none. */
  get lastSequence(): number | undefined {
    return this.#events.at(-1)?.sequence;
  }

  /** @returns whether there is room for more; an event that did not fit belongs to what remains */
  appendEvent(event: ArchivedEvent): boolean {
    const { order, eventsMax, bytesMax } = this.#request;
    this.#bytes += Buffer.byteLength(event.json);
    if (this.#bytes > bytesMax && this.#events.length > 0) {
      this.#remaining = restFrom(this.#request, event.sequence, order);
      return false;
    }
    this.#events.push(event);
    if (this.#events.length === eventsMax) {
      this.#remaining = restBehind(this.#request, event.sequence, order);
    }
    return this.#remaining === undefined;
  }

  /** @param remaining what remains of the range where no limit was reached before */
  finishPage(remaining: LogRange): SelectionPage {
    return { events: this.#events, remaining: this.#remaining ?? remaining };
  }
}
