import { asTidemarkError, type TidemarkError } from '@tidemark/protocol';
import { CHUNK_BYTES_MAX } from '../fan-out/batch.ts';
import type { Outlet } from '../fan-out/sink.ts';
import type { Entry, Receipt } from '../log/event-entry.ts';
import type { Log } from '../log/event-log.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Task } from '../scheduling/task-scheduler.ts';
import type { ColdAnswer } from '../sources/cold-reads.ts';
import { Newest } from './conflation.ts';
import type { Dialect } from './encoder.ts';
import type { Tier } from './observer.ts';
import type { Subscription } from './subscription.ts';

/** Entries of the tail in one step. */
const TAIL_EVENTS_MAX = 512;

/** Cold reads begin small and double while the connection takes what they bring. */
const PAGE_EVENTS_MIN = 256;
const PAGE_EVENTS_MAX = 8192;

/** From this size on the next page is read while one is written: the client is deep and takes it. */
const AHEAD_EVENTS_MIN = 1024;

/** A cold page that is being written; it is dropped when the socket is full, and read again. */
interface LanePage {
  readonly tier: Tier;
  readonly entries: readonly Entry[];
  readonly through: number;
  next: number;
}

/** What a lane needs of its connection. */
export interface LaneOwner {
  readonly log: Log;
  readonly outlet: Outlet;
  readonly dialect: Dialect;
  delivered: number;
  readonly onWritten: ((receipt: Receipt) => void) | undefined;
  goLive(lane: Lane): void;
  passGap(lane: Lane, through: number): void;
  fail(lane: Lane, error: TidemarkError): void;
  tellPassedOver(lane: Lane): void;
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
 *
 * Where all its subscriptions want only the newest event of each topic, it looks ahead before it
 * writes (`Newest`). One that wants all events makes its lane deliver all of them.
 */
export class Lane implements Task {
  readonly subscriptions: readonly Subscription[];
  readonly patterns: PatternSet;
  readonly #owner: LaneOwner;
  #position: number;
  #page: LanePage | undefined;
  /** Where what was read last came from. */
  #tier: Tier = 'tail';
  #pageEvents = PAGE_EVENTS_MIN;
  readonly #newestOnly: boolean;
  #newest: Newest | undefined;
  #ahead: { readonly after: number; readonly page: Promise<ColdAnswer> } | undefined;
  #reading = false;
  #ended = false;

  constructor(owner: LaneOwner, subscriptions: readonly Subscription[], position: number) {
    this.#owner = owner;
    this.subscriptions = subscriptions;
    this.patterns = PatternSet.union(subscriptions.map(({ patterns }) => patterns));
    this.#newestOnly = subscriptions.every(({ deliver }) => deliver === 'latest');
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

  /** Events that it keeps in memory by itself: nothing while its socket is full. */
  get heldEvents(): number {
    return (this.#page?.entries.length ?? 0) + (this.#newest?.size ?? 0);
  }

  overlaps(patterns: PatternSet): boolean {
    return this.patterns.overlaps(patterns);
  }

  /** Another lane takes over, or the connection is gone. */
  end(): void {
    this.#ended = true;
    this.#forget();
  }

  run(): boolean {
    const { log, outlet } = this.#owner;
    if (this.#ended || this.#reading) return false;
    if (!outlet.writable) {
      this.#forget();
      return false;
    }
    if (this.#page) return this.#usePage(this.#page);
    const { tail } = log;
    if (this.#position > tail.head) {
      log.awaitHead(this);
      return false;
    }
    if (this.#readFrom >= tail.floor) return this.#readTail();
    void this.#readCold();
    return false;
  }

  /** The position, or how far the lane has looked ahead of it. */
  get #readFrom(): number {
    return this.#newest?.through ?? this.#position;
  }

  #readTail(): boolean {
    const { log } = this.#owner;
    this.#tier = 'tail';
    const slice = log.tail.read(this.patterns, this.#readFrom, { eventsMax: TAIL_EVENTS_MAX });
    if (!this.#deliver(slice.entries, slice.through)) return false;
    log.counts.catchUpTailEvents += slice.entries.length;
    if (this.#readFrom < log.tail.head) return true;
    if (!this.#writeNewest()) return false;
    if (this.caughtUp) this.#owner.goLive(this);
    else log.awaitHead(this);
    return false;
  }

  async #readCold(): Promise<void> {
    this.#reading = true;
    try {
      const ahead = this.#ahead;
      this.#ahead = undefined;
      const after = this.#readFrom;
      const page = await (ahead?.after === after ? ahead.page : this.#ask(after));
      this.#reading = false;
      if (!this.#ended) this.#take(page);
    } catch (error) {
      this.#reading = false;
      if (!this.#ended) this.#owner.fail(this, asTidemarkError(error));
    }
  }

  #ask(after: number): Promise<ColdAnswer> {
    const { log } = this.#owner;
    return log.cold.read({
      epoch: log.epoch,
      patterns: this.patterns,
      after,
      through: log.tail.floor,
      eventsMax: this.#pageEvents,
    });
  }

  /** While one page is written the next one comes: reading and writing are two processes' work. */
  #readAhead(after: number): void {
    if (this.#pageEvents < AHEAD_EVENTS_MIN || after >= this.#owner.log.tail.floor) return;
    const page = this.#ask(after);
    // Who takes the page is told of a failure; nobody may take it.
    page.catch(() => undefined);
    this.#ahead = { after, page };
  }

  #take(page: ColdAnswer): void {
    const { log } = this.#owner;
    if (page.kind === 'events') {
      this.#readAhead(page.through);
      log.counts.catchUpColdEvents += page.entries.length;
      const { entries, through, tier } = page;
      this.#page = { entries, through, tier, next: 0 };
    } else if (this.#writeNewest()) {
      log.counts.gaps++;
      this.#owner.passGap(this, page.through);
      this.#position = page.through;
    }
    log.turns.add(this);
  }

  /** One step through the page. @returns whether there is more to do */
  #usePage(page: LanePage): boolean {
    this.#tier = page.tier;
    const start = page.next;
    let bytes = 0;
    while (page.next < page.entries.length && bytes < CHUNK_BYTES_MAX) {
      bytes += page.entries[page.next]?.json.length ?? 0;
      page.next++;
    }
    const used = page.next === page.entries.length;
    const entries = page.entries.slice(start, page.next);
    if (!this.#deliver(entries, used ? page.through : (entries.at(-1)?.sequence ?? 0)))
      return false;
    if (!used) return true;
    this.#page = undefined;
    this.#pageEvents = Math.min(this.#pageEvents * 2, PAGE_EVENTS_MAX);
    return true;
  }

  /** Writes the entries, or keeps the newest of them. @returns false when the socket is full */
  #deliver(entries: readonly Entry[], through: number): boolean {
    if (!this.#newestOnly) {
      if (!this.#write(entries)) return false;
      this.#position = through;
      return true;
    }
    this.#newest ??= new Newest(this.#position);
    this.#newest.add(
      entries.filter((entry) => this.#wants(entry)),
      through,
      this.#tier === 'tail',
    );
    return this.#newest.full ? this.#writeNewest() : true;
  }

  /** @returns false when the socket is full */
  #writeNewest(): boolean {
    const newest = this.#newest;
    if (!newest) return true;
    const since = this.#position;
    const complete = this.#write(newest.entries);
    if (complete) this.#position = newest.through;
    for (const subscription of this.subscriptions) {
      subscription.incompleteSince = complete ? undefined : (subscription.incompleteSince ?? since);
      for (const passed of newest.passed) {
        const told = passed.sequence <= this.#position;
        if (told && subscription.wants(passed)) subscription.passedOver++;
      }
    }
    this.#newest = undefined;
    if (complete) this.#owner.tellPassedOver(this);
    return complete;
  }

  /** @returns false when the socket took no more: the position stands where it stopped */
  #write(entries: readonly Entry[]): boolean {
    const { outlet, dialect, log } = this.#owner;
    const wanted = entries.filter((entry) => this.#wants(entry));
    let told = 0;
    return log.gatherer.write(wanted, dialect, (bytes, { events, after, through }) => {
      if (!outlet.writable) {
        this.#position = Math.max(this.#position, after);
        this.#forget();
        return 'full';
      }
      const taken = outlet.write(bytes);
      log.counts.deliveries += events;
      this.#owner.delivered += events;
      this.#position = through;
      if (this.#isObserved) this.#tell(wanted.slice(told, told + events));
      told += events;
      return taken ? 'reusable' : 'kept';
    });
  }

  get #isObserved(): boolean {
    const { onWritten } = this.#owner;
    return onWritten !== undefined || this.subscriptions.some(({ catchUp }) => catchUp);
  }

  #tell(written: readonly Entry[]): void {
    for (const { catchUp } of this.subscriptions) catchUp?.carried(this.#tier, written);
    const { onWritten } = this.#owner;
    if (onWritten) for (const { receipt } of written) if (receipt) onWritten(receipt);
  }

  #wants(entry: Entry): boolean {
    const [first, second] = this.subscriptions;
    // What was read matches the lane's patterns; whose it is has to be asked only of several.
    if (first && !second) return entry.sequence > first.after;
    return this.subscriptions.some((subscription) => subscription.wants(entry));
  }

  #forget(): void {
    this.#page = undefined;
    this.#newest = undefined;
    this.#ahead = undefined;
    this.#pageEvents = PAGE_EVENTS_MIN;
  }
}
