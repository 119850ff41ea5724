import type { Flow } from '@tidemark/fairness';
import { asTidemarkError, type TidemarkError } from '@tidemark/protocol';
import { BATCH_BYTES_MAX } from '../fan-out/batch.ts';
import type { Sink } from '../fan-out/sink.ts';
import type { DeliveryTrace, EventEncoder, EventEntry } from '../log/event-entry.ts';
import type { EventLog, HeadWaiter } from '../log/event-log.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Task } from '../scheduling/task-scheduler.ts';
import type { ColdAnswer } from '../sources/cold-reads.ts';
import { Conflation } from './conflation.ts';
import type { ConnectionContext } from './context.ts';
import type { Encoder } from './encoder.ts';
import type { Tier } from './observer.ts';
import type { Subscription } from './subscription.ts';

/** Most entries that one step reads from the tail, and how long it may look for them. */
const TAIL_EVENTS_MAX = 512;
const TAIL_MS_MAX = 1;

/** Events of the first cold page. Each page that the connection takes whole doubles the next. */
const PAGE_EVENTS_MIN = 256;
const PAGE_EVENTS_MAX = 8192;

/** Last events in one read, which fit one answer of the archive. */
const LAST_PAGE_EVENTS = 2000;

/** From this page size on the client is far behind, so the next page is read while one is written. */
const PREFETCH_EVENTS_MIN = 1024;

/** A cold page that the reader is writing. It drops the page when the socket is full. */
interface CatchUpPage {
  readonly tier: Tier;
  readonly entries: readonly EventEntry[];
  readonly through: number;
  next: number;
  /** The subscription whose last events these are. */
  readonly last?: Subscription;
}

/** A cold read that the reader waits for, or will. It is aborted when the reader does so no longer. */
interface AwaitedRead {
  readonly after: number;
  readonly page: Promise<ColdAnswer>;
  readonly leaving: AbortController;
}

/** The connection of a catch-up reader. */
export interface CatchUpOwner {
  readonly context: ConnectionContext;
  readonly flow: Flow;
  readonly sink: Sink;
  readonly encoder: Encoder;
  delivered: number;
  readonly onWritten: ((deliveryTrace: DeliveryTrace) => void) | undefined;
  goLive(reader: CatchUpReader): void;
  /** Called when the socket is full and more is to be written. */
  waitsForSocket(): void;
  sendExpiredGap(reader: CatchUpReader, through: number): void;
  fail(reader: CatchUpReader, error: TidemarkError): void;
  sendSkipped(reader: CatchUpReader): void;
}

/**
 * Catch-up reader: brings subscriptions of one connection from a common position to the head. The task
 * scheduler calls `run`, which goes on with the first of these that applies:
 *
 *     ended, or a cold read is in progress --> nothing
 *     socket full                          --> waits for `Connection.drained`
 *     has a page                           --> #writePage --> run
 *     last events are left                 --> #readLast --> has a page --> run
 *     beyond the head                      --> waits for `headMoved`
 *     at the tail's floor or later         --> #readTail --> run, or goLive at the head
 *     older                                --> #readCold --> has a page --> run
 *
 * Subscriptions that overlap share a reader. The reader then sends an event once for all subscriptions
 * that want it, in stream order for each. For that reason an event frame names no subscription. A reader
 * that waits for its socket holds its position and nothing else.
 *
 * If all its subscriptions ask for `deliver: "latest"` and the same types, it conflates (`Conflation`). If one
 * of them wants all events, it delivers all. With different types the newest event of a topic may be none for
 * one of them, so it delivers all then too.
 */
export class CatchUpReader implements Task, HeadWaiter {
  readonly subscriptions: readonly Subscription[];
  readonly patterns: PatternSet;
  readonly #owner: CatchUpOwner;
  readonly #log: EventLog;
  #sequence: number;
  #page: CatchUpPage | undefined;
  /** The tier of the last read. */
  #tier: Tier = 'tail';
  #pageEvents = PAGE_EVENTS_MIN;
  readonly #conflates: boolean;
  #conflation: Conflation | undefined;
  #prefetched: AwaitedRead | undefined;
  #reading: Pick<AwaitedRead, 'leaving'> | undefined;
  #ended = false;

  constructor(owner: CatchUpOwner, subscriptions: readonly Subscription[], sequence: number) {
    this.#owner = owner;
    this.#log = owner.context.log;
    this.subscriptions = subscriptions;
    this.patterns = PatternSet.union(subscriptions.map(({ patterns }) => patterns));
    const [first] = subscriptions;
    this.#conflates = subscriptions.every(({ deliver, patterns: { types } }) => {
      return deliver === 'latest' && types?.key === first?.patterns.types?.key;
    });
    this.#sequence = sequence;
  }

  /** The reader has written every event up to this sequence. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Whether the reader is at the head, and no subscription begins beyond the head. */
  get caughtUp(): boolean {
    const { head } = this.#log.tail;
    if (this.hasLast) return false;
    return this.#sequence === head && this.subscriptions.every(({ after }) => after <= head);
  }

  /** Whether it has yet to write last events. */
  get hasLast(): boolean {
    return this.#withLast !== undefined;
  }

  /** Where it reads now, or read last. */
  get tier(): Tier {
    return this.#tier;
  }

  /** Whether it waits for what the archive or the stream answers. */
  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  /** The number of events that it holds in memory: none while its socket is full. */
  get heldEvents(): number {
    return (this.#page?.entries.length ?? 0) + (this.#conflation?.size ?? 0);
  }

  overlaps(patterns: PatternSet): boolean {
    return this.patterns.overlaps(patterns);
  }

  /** Called when another reader takes over, or the connection has ended. */
  end(): void {
    this.#ended = true;
    this.#reading?.leaving.abort();
    this.#dropPages();
  }

  run(): boolean {
    const { sink } = this.#owner;
    if (this.#ended || this.#reading) return false;
    if (!sink.writable) {
      this.#waitForSocket();
      return false;
    }
    if (this.#page) return this.#writePage(this.#page);
    if (this.#withLast) {
      void this.#readLast(this.#withLast);
      return false;
    }
    const { tail } = this.#log;
    if (this.#sequence > tail.head) {
      this.#log.awaitHead(this);
      return false;
    }
    if (this.#readFrom >= tail.floor) return this.#readTail();
    void this.#readCold();
    return false;
  }

  headMoved(): void {
    this.#schedule();
  }

  get #withLast(): Subscription | undefined {
    return this.subscriptions.find(({ last }) => last !== undefined);
  }

  /** The sequence after which the next read begins. Conflation reads ahead of the writes. */
  get #readFrom(): number {
    return this.#conflation?.through ?? this.#sequence;
  }

  #readTail(): boolean {
    const { tail } = this.#log;
    this.#tier = 'tail';
    const { clock } = this.#owner.context;
    const endMs = clock.nowMs() + TAIL_MS_MAX;
    const limits = { eventsMax: TAIL_EVENTS_MAX, isOver: () => clock.nowMs() >= endMs };
    const slice = tail.readEntries(this.patterns, this.#readFrom, limits);
    if (!this.#deliverEntries(slice.entries, slice.through)) return false;
    this.#owner.context.counters.catchUpTailEvents += slice.entries.length;
    if (this.#readFrom < tail.head) return true;
    if (!this.#writeConflated()) return false;
    if (this.caughtUp) this.#owner.goLive(this);
    else this.#log.awaitHead(this);
    return false;
  }

  /** Reads last events of one subscription. All of them come before any other event. */
  async #readLast(subscription: Subscription): Promise<void> {
    const { last } = subscription;
    const sequences = last?.peek(LAST_PAGE_EVENTS) ?? [];
    if (!last || sequences.length === 0) {
      subscription.endLast();
      this.#schedule();
      return;
    }
    const leaving = new AbortController();
    this.#reading = { leaving };
    const reader = { flow: this.#owner.flow, signal: leaving.signal };
    const { context } = this.#owner;
    try {
      const query = { epoch: this.#log.epoch, sequences };
      const page = await context.coldReads.readEvents(query, reader);
      this.#reading = undefined;
      if (this.#ended) return;
      context.counters.catchUpColdEvents += page.entries.length;
      // A log that lost its end meanwhile may have an event of another topic at a sequence that was found.
      const entries = page.entries.filter((entry) => subscription.wantsLast(entry));
      this.#page = { ...page, entries, tier: 'archive', next: 0, last: subscription };
      this.#schedule();
    } catch (error) {
      this.#reading = undefined;
      if (!this.#ended) this.#owner.fail(this, asTidemarkError(error));
    }
  }

  async #readCold(): Promise<void> {
    const after = this.#readFrom;
    const prefetched = this.#prefetched;
    this.#prefetched = undefined;
    if (prefetched?.after !== after) prefetched?.leaving.abort();
    const reading = prefetched?.after === after ? prefetched : this.#beginRead(after);
    this.#reading = reading;
    try {
      const page = await reading.page;
      this.#reading = undefined;
      if (!this.#ended) this.#acceptPage(page);
    } catch (error) {
      this.#reading = undefined;
      if (!this.#ended) this.#owner.fail(this, asTidemarkError(error));
    }
  }

  #beginRead(after: number): AwaitedRead {
    const { epoch, tail } = this.#log;
    const leaving = new AbortController();
    // The floor rises while the page is read. A page up to the floor would end below it, again and again.
    const through = tail.floor + Math.floor((tail.head - tail.floor) / 2);
    const query = {
      epoch,
      patterns: this.patterns,
      after,
      through,
      eventsMax: this.#pageEvents,
    };
    const reader = { flow: this.#owner.flow, signal: leaving.signal };
    return { after, page: this.#owner.context.coldReads.readPage(query, reader), leaving };
  }

  /** Reads the next page while one is written, so that two processes work at the same time. */
  #prefetch(after: number): void {
    if (this.#pageEvents < PREFETCH_EVENTS_MIN || after >= this.#log.tail.floor) return;
    this.#prefetched = this.#beginRead(after);
    // `#readCold` gets the failure if it awaits this page, which it may never do.
    this.#prefetched.page.catch(() => undefined);
  }

  #acceptPage(page: ColdAnswer): void {
    const { counters } = this.#owner.context;
    if (page.kind === 'events') {
      this.#prefetch(page.through);
      counters.catchUpColdEvents += page.entries.length;
      const { entries, through, tier } = page;
      this.#page = { entries, through, tier, next: 0 };
    } else if (this.#writeConflated()) {
      counters.gaps++;
      this.#owner.sendExpiredGap(this, page.through);
      this.#sequence = page.through;
    }
    this.#schedule();
  }

  /** Writes the next part of the page. @returns whether there is more to do */
  #writePage(page: CatchUpPage): boolean {
    this.#tier = page.tier;
    const start = page.next;
    let bytes = 0;
    while (page.next < page.entries.length && bytes < BATCH_BYTES_MAX) {
      bytes += page.entries[page.next]?.json.length ?? 0;
      page.next++;
    }
    const used = page.next === page.entries.length;
    const entries = page.entries.slice(start, page.next);
    if (page.last) return this.#writeLast(entries, page, page.last);
    if (!this.#deliverEntries(entries, used ? page.through : (entries.at(-1)?.sequence ?? 0)))
      return false;
    if (!used) return true;
    this.#page = undefined;
    this.#pageEvents = Math.min(this.#pageEvents * 2, PAGE_EVENTS_MAX);
    return true;
  }

  /** @returns whether there is more to do */
  #writeLast(
    entries: readonly EventEntry[],
    page: CatchUpPage,
    subscription: Subscription,
  ): boolean {
    const { last, id } = subscription;
    const encoder = this.#owner.encoder.last(id);
    if (!this.#writeAll(entries, encoder, (through) => last?.advance(through))) return false;
    if (page.next < page.entries.length) return true;
    this.#page = undefined;
    last?.advance(page.through);
    return true;
  }

  /** Writes the entries, or conflates them. @returns false when the socket is full */
  #deliverEntries(entries: readonly EventEntry[], through: number): boolean {
    if (!this.#conflates) {
      if (!this.#writeEntries(entries)) return false;
      this.#sequence = through;
      return true;
    }
    this.#conflation ??= new Conflation(this.#sequence);
    this.#conflation.addEntries(
      entries.filter((entry) => this.#wants(entry)),
      through,
      this.#tier !== 'tail',
    );
    return this.#conflation.full ? this.#writeConflated() : true;
  }

  /** @returns false when the socket is full */
  #writeConflated(): boolean {
    const conflation = this.#conflation;
    if (!conflation) return true;
    const since = this.#sequence;
    const complete = this.#writeEntries(conflation.entries);
    if (complete) this.#sequence = conflation.through;
    for (const subscription of this.subscriptions) {
      subscription.incompleteSince = complete ? undefined : (subscription.incompleteSince ?? since);
      for (const event of conflation.skipped) {
        const isFinal = event.sequence <= this.#sequence;
        if (isFinal && subscription.covers(event)) subscription.skipped++;
      }
    }
    this.#conflation = undefined;
    if (complete) this.#owner.sendSkipped(this);
    return complete;
  }

  /** @returns false when the socket became full; `sequence` is then that of the last written event */
  #writeEntries(entries: readonly EventEntry[]): boolean {
    const wanted = entries.filter((entry) => this.#wants(entry));
    return this.#writeAll(wanted, this.#owner.encoder, (through) => {
      this.#sequence = Math.max(this.#sequence, through);
    });
  }

  /**
   * @param advance called with the sequence up to which everything was written
   * @returns false when the socket became full
   */
  #writeAll(
    entries: readonly EventEntry[],
    encoder: EventEncoder,
    advance: (through: number) => void,
  ): boolean {
    const { sink, context } = this.#owner;
    let written = 0;
    return context.writeBuffer.writeEntries(
      entries,
      encoder,
      (bytes, { events, after, through }) => {
        if (!sink.writable) {
          advance(after);
          this.#waitForSocket();
          return 'full';
        }
        const isFlushed = sink.write(bytes);
        context.counters.deliveries += events;
        this.#owner.delivered += events;
        advance(through);
        if (this.#isObserved) this.#reportWritten(entries.slice(written, written + events));
        written += events;
        return isFlushed ? 'reusable' : 'retained';
      },
    );
  }

  get #isObserved(): boolean {
    const { onWritten } = this.#owner;
    return onWritten !== undefined || this.subscriptions.some((one) => one.catchUpObserver);
  }

  #reportWritten(written: readonly EventEntry[]): void {
    for (const { catchUpObserver } of this.subscriptions) {
      catchUpObserver?.written(this.#tier, written);
    }
    const { onWritten } = this.#owner;
    if (!onWritten) return;
    for (const { deliveryTrace } of written) if (deliveryTrace) onWritten(deliveryTrace);
  }

  #wants(entry: EventEntry): boolean {
    const [first, second] = this.subscriptions;
    // Every entry matches the reader's patterns, so one subscription need not match them again. Its type may
    // be another one: the stream does not filter by types.
    if (first && !second) return entry.sequence > first.after && first.wantsType(entry);
    return this.subscriptions.some((subscription) => subscription.wants(entry));
  }

  #schedule(): void {
    const { context, flow } = this.#owner;
    context.userWork.schedule(this, flow);
  }

  #waitForSocket(): void {
    this.#dropPages();
    this.#owner.waitsForSocket();
  }

  #dropPages(): void {
    this.#page = undefined;
    this.#conflation = undefined;
    this.#prefetched?.leaving.abort();
    this.#prefetched = undefined;
    this.#pageEvents = PAGE_EVENTS_MIN;
  }
}
