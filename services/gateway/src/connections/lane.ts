import { asTidemarkError, type TidemarkError } from '@tidemark/protocol';
import { CHUNK_BYTES_MAX } from '../fan-out/chunks.ts';
import type { Task } from '../fan-out/turns.ts';
import type { ColdPage } from '../log/cold-reads.ts';
import type { Entry } from '../log/entry.ts';
import type { Log } from '../log/log.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Dialect } from './dialect.ts';
import type { Outlet } from './outlet.ts';
import type { Subscription } from './subscription.ts';

/** Entries of the tail in one step. */
const TAIL_EVENTS_MAX = 512;

/** Cold reads begin small and double while the connection takes what they bring. */
const PAGE_EVENTS_MIN = 256;
const PAGE_EVENTS_MAX = 8192;

/** A cold page that is being written; it is dropped when the socket is full, and read again. */
interface LanePage {
  readonly entries: readonly Entry[];
  readonly through: number;
  next: number;
}

/** What a lane needs of its connection. */
export interface LaneOwner {
  readonly log: Log;
  readonly outlet: Outlet;
  readonly dialect: Dialect;
  goLive(lane: Lane): void;
  passGap(lane: Lane, through: number): void;
  fail(lane: Lane, error: TidemarkError): void;
}

/**
 * Subscriptions of one connection that catch up together, at one position.
 *
 *     waiting (socket full) <--> reading tail --> live
 *                  ^                 ^
 *                  +----------> reading cold
 *
 * Subscriptions that overlap share a lane. An event goes out once for all that want it, and in
 * stream order for each of them, which is what lets an event frame name no subscription.
 * A lane that waits for its socket holds its position and nothing else.
 */
export class Lane implements Task {
  readonly subscriptions: readonly Subscription[];
  readonly patterns: PatternSet;
  readonly #owner: LaneOwner;
  #position: number;
  #page: LanePage | undefined;
  #pageEvents = PAGE_EVENTS_MIN;
  #reading = false;
  #ended = false;

  constructor(owner: LaneOwner, subscriptions: readonly Subscription[], position: number) {
    this.#owner = owner;
    this.subscriptions = subscriptions;
    this.patterns = PatternSet.union(subscriptions.map(({ patterns }) => patterns));
    this.#position = position;
  }

  get position(): number {
    return this.#position;
  }

  /** Whether nothing is left to read, and no subscription begins further on than this gateway is. */
  get caughtUp(): boolean {
    const { head } = this.#owner.log.tail;
    return this.#position === head && this.subscriptions.every(({ after }) => after <= head);
  }

  overlaps(patterns: PatternSet): boolean {
    return this.patterns.overlaps(patterns);
  }

  /** Another lane takes over, or the connection is gone. */
  end(): void {
    this.#ended = true;
    this.#page = undefined;
  }

  run(): boolean {
    const { log, outlet } = this.#owner;
    if (this.#ended || this.#reading) return false;
    if (!outlet.writable) {
      this.#forgetPage();
      return false;
    }
    if (this.#page) return this.#writePage(this.#page);
    const { tail } = log;
    if (this.#position > tail.head) {
      log.awaitHead(this);
      return false;
    }
    if (this.#position >= tail.floor) return this.#readTail();
    void this.#readCold();
    return false;
  }

  #readTail(): boolean {
    const { log } = this.#owner;
    const slice = log.tail.read(this.patterns, this.#position, { eventsMax: TAIL_EVENTS_MAX });
    if (!this.#write(slice.entries)) return false;
    log.counts.catchUpTailEvents += slice.entries.length;
    this.#position = slice.through;
    if (this.#position < log.tail.head) return true;
    if (this.caughtUp) this.#owner.goLive(this);
    else log.awaitHead(this);
    return false;
  }

  async #readCold(): Promise<void> {
    const { log } = this.#owner;
    this.#reading = true;
    try {
      const page = await log.cold.read({
        epoch: log.epoch,
        patterns: this.patterns,
        after: this.#position,
        through: log.tail.floor,
        eventsMax: this.#pageEvents,
      });
      this.#reading = false;
      if (!this.#ended) this.#take(page);
    } catch (error) {
      this.#reading = false;
      if (!this.#ended) this.#owner.fail(this, asTidemarkError(error));
    }
  }

  #take(page: ColdPage): void {
    const { log } = this.#owner;
    if (page.kind === 'gap') {
      log.counts.gaps++;
      this.#owner.passGap(this, page.through);
      this.#position = page.through;
    } else {
      log.counts.catchUpColdEvents += page.entries.length;
      this.#page = { entries: page.entries, through: page.through, next: 0 };
    }
    log.turns.add(this);
  }

  #writePage(page: LanePage): boolean {
    const start = page.next;
    let bytes = 0;
    while (page.next < page.entries.length && bytes < CHUNK_BYTES_MAX) {
      bytes += page.entries[page.next]?.json.length ?? 0;
      page.next++;
    }
    if (!this.#write(page.entries.slice(start, page.next))) return false;
    if (page.next < page.entries.length) return true;
    this.#position = page.through;
    this.#page = undefined;
    this.#pageEvents = Math.min(this.#pageEvents * 2, PAGE_EVENTS_MAX);
    return true;
  }

  /** @returns false when the socket took no more: the position stands where it stopped */
  #write(entries: readonly Entry[]): boolean {
    const { outlet, dialect, log } = this.#owner;
    const wanted = entries.filter((entry) => this.#wants(entry));
    return log.gatherer.write(wanted, dialect, (bytes, { events, after, through }) => {
      if (!outlet.writable) {
        this.#position = Math.max(this.#position, after);
        this.#forgetPage();
        return 'full';
      }
      const taken = outlet.write(bytes);
      log.counts.deliveries += events;
      this.#position = through;
      return taken ? 'reusable' : 'kept';
    });
  }

  #wants(entry: Entry): boolean {
    return this.subscriptions.some((subscription) => subscription.wants(entry));
  }

  #forgetPage(): void {
    this.#page = undefined;
    this.#pageEvents = PAGE_EVENTS_MIN;
  }
}
