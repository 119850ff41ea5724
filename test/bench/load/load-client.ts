import { parseCursor } from '@tidemark/protocol';
import { nowUs } from '../wire/clock.ts';
import { numberIn, seriesOf } from '../wire/series.ts';
import type { Listener } from './wire-reader.ts';

/**
 * How a client proves that no event is missing. `sequence`: stream sequences have no holes, because every
 * event of the stream is for the client. `counter`: the publisher counts the events of each client. `series`: so does each
 * of several publishers, on each topic. `number`: only how many events came is compared.
 */
export type Check = 'sequence' | 'counter' | 'series' | 'number';

/** State that all clients of one process share and write. */
export interface Shared {
  readonly check: Check;
  /** The time of the current read. Every message in it arrived then. */
  readUs: number;
  onLatency: ((us: number, counter: number) => void) | undefined;
  onTarget(client: LoadClient): void;
  onFault(client: LoadClient, fault: string): void;
}

/** The time at which each stage was reached; 0 before that. */
export class Stages {
  openedUs = 0;
  subscribedUs = 0;
  liveUs = 0;
  /** The client had all the events that it had missed. */
  completeUs = 0;
}

/** One client. It checks each event that it receives against the one before. */
export abstract class LoadClient implements Listener {
  readonly index: number;
  readonly stages = new Stages();
  events = 0;
  /** The client calls `onTarget` when `events` reaches this number. */
  target = Number.POSITIVE_INFINITY;
  lastUs = 0;
  closed = false;
  protected readonly shared: Shared;
  #sequence = 0;
  #counter = 0;
  readonly #series: number[] = [];

  constructor(index: number, shared: Shared) {
    this.index = index;
    this.shared = shared;
  }

  /** Where the client comes back after a cut; `undefined` where it has no place yet. */
  abstract get position(): string | undefined;
  abstract onHead(head: string): void;
  abstract onControl(text: string): void;

  onEvent(sequence: number, counter: number, timeUs: number): void {
    const { shared } = this;
    if (shared.check === 'sequence') {
      if (sequence !== this.#sequence + 1) this.#outOfOrder('sequence', this.#sequence, sequence);
      this.#sequence = sequence;
    } else if (shared.check === 'series') {
      this.#checkSeries(counter);
    } else if (shared.check === 'counter') {
      if (counter !== this.#counter + 1) this.#outOfOrder('counter', this.#counter, counter);
      this.#counter = counter;
    }
    this.#sequence = sequence;
    this.events++;
    if (timeUs > 0 && shared.onLatency) shared.onLatency(shared.readUs - timeUs, counter);
    if (this.events === this.target) {
      this.lastUs = nowUs();
      this.stages.completeUs ||= this.lastUs;
      shared.onTarget(this);
    } else if (this.events > this.target) {
      this.onFault(`event ${counter} came after the last one`);
    }
  }

  onFault(fault: string): void {
    this.shared.onFault(this, fault);
  }

  /** The sequence of the last event, or of the cursor before the first one. */
  protected get sequence(): number {
    return this.#sequence;
  }

  protected begin(cursor: string): void {
    if (this.stages.subscribedUs > 0) return;
    this.stages.subscribedUs = nowUs();
    this.#sequence = parseCursor(cursor).sequence;
  }

  protected live(): void {
    this.stages.liveUs ||= nowUs();
  }

  protected opened(head: string, status: number): void {
    if (!head.startsWith(`HTTP/1.1 ${status} `)) this.onFault(`answered ${head.split('\r')[0]}`);
    this.stages.openedUs = nowUs();
  }

  #checkSeries(counter: number): void {
    const series = seriesOf(counter);
    const number = numberIn(counter);
    const before = this.#series[series] ?? 0;
    if (number !== before + 1) this.#outOfOrder(`in series ${series}`, before, number);
    this.#series[series] = number;
  }

  #outOfOrder(what: string, before: number, now: number): void {
    this.onFault(`${what} ${now} came after ${before}`);
  }
}
