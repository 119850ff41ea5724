import { type Percentiles, percentiles } from '../report/percentiles.ts';

/** When the first, the median and the last client had an event, over all events. */
export interface SpreadSummary {
  readonly first: Percentiles;
  readonly median: Percentiles;
  readonly last: Percentiles;
}

/** The latencies of each event at all clients. Adding one costs some ten nanoseconds. */
export class EventSpread {
  readonly #clients: number;
  #us = new Float32Array();
  #counts = new Uint32Array();

  constructor(clients: number) {
    this.#clients = clients;
  }

  reset(events: number): void {
    this.#us = new Float32Array(events * this.#clients);
    this.#counts = new Uint32Array(events);
  }

  /** @param counter of the event, from 1; one beyond the expected ones is a fault that others report */
  add(counter: number, us: number): void {
    const count = this.#counts[counter - 1];
    if (count === undefined || count >= this.#clients) return;
    this.#us[(counter - 1) * this.#clients + count] = us;
    this.#counts[counter - 1] = count + 1;
  }

  summary(): SpreadSummary {
    const rows = Array.from(this.#counts, (count, event) => {
      const start = event * this.#clients;
      return this.#us.subarray(start, start + count).sort();
    }).filter(({ length }) => length > 0);
    const at = (share: number) => {
      return percentiles(
        rows.map((row) => row[Math.floor((row.length - 1) * share)] ?? Number.NaN),
      );
    };
    return { first: at(0), median: at(0.5), last: at(1) };
  }
}
