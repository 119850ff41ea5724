import type { Flow } from '@tidemark/fairness';
import {
  type CloseReason,
  type Deliver,
  type Position,
  type Start,
  TidemarkError,
  TypeFilter,
} from '@tidemark/protocol';
import type { Sink } from '../fan-out/sink.ts';
import type { LiveConnection, SubscriberGroup } from '../fan-out/subscriber-group.ts';
import type { DeliveryTrace } from '../log/event-entry.ts';
import type { EventLog, LogChange, LogListener } from '../log/event-log.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { ResolvedStart } from '../sources/start-resolver.ts';
import { type CatchUpOwner, CatchUpReader } from './catch-up-reader.ts';
import type { ConnectionContext } from './context.ts';
import type { Encoder, Gap } from './encoder.ts';
import { LastEvents } from './last-events.ts';
import type { CatchUpEnd, ConnectionObserver } from './observer.ts';
import { type Progress, positionOf, type SubscriptionState, statesOf } from './progress.ts';
import { findStart } from './start-search.ts';
import { Subscription } from './subscription.ts';

/** The empty list of all connections: one of its own takes 32 bytes, and each has three. */
const NONE: readonly never[] = [];

export interface ConnectionOptions {
  readonly context: ConnectionContext;
  /** The user, who takes turns with the others. */
  readonly user: string;
  readonly sink: Sink;
  readonly encoder: Encoder;
  readonly observer: ConnectionObserver;
  /** Called when a subscription has ended because the log could not be read. */
  readonly onFailed?: (id: string, error: TidemarkError) => void;
}

export interface Subscribing {
  readonly patterns: readonly string[];
  /** Types, each exact or with `*` at its end; all if absent. */
  readonly types?: readonly string[];
  readonly start: Start;
  readonly deliver: Deliver;
}

/**
 * One client: its subscriptions, and the position of each. A connection has no queue: it later reads the
 * events that its socket does not take from the log again.
 *
 * All live subscriptions are in one subscriber group. The others are in catch-up readers. Each move
 * from one to the other is synchronous, so no event is lost in between.
 */
export class Connection implements LiveConnection, CatchUpOwner, LogListener {
  readonly context: ConnectionContext;
  readonly flow: Flow;
  readonly sink: Sink;
  readonly encoder: Encoder;
  liveSequence = 0;
  delivered = 0;
  /** Times that it fell behind. */
  fellBehind = 0;
  onWritten: ((deliveryTrace: DeliveryTrace) => void) | undefined;
  readonly #log: EventLog;
  readonly #observer: ConnectionObserver;
  readonly #onFailed: NonNullable<ConnectionOptions['onFailed']> | undefined;
  // Lists, not maps, because an idle connection must be small and there are few of each.
  #resolving: readonly Subscription[] = NONE;
  #readers: readonly CatchUpReader[] = NONE;
  #live: readonly Subscription[] = NONE;
  #group: SubscriberGroup | undefined;
  #closed = false;

  constructor({ context, user, sink, encoder, onFailed, observer }: ConnectionOptions) {
    this.context = context;
    this.flow = { user, connection: this };
    this.#log = context.log;
    this.#observer = observer;
    this.sink = sink;
    this.encoder = encoder;
    this.#onFailed = onFailed;
    this.#log.addListener(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get subscriptions(): number {
    return [...this.#all()].length;
  }

  /** Whether every subscription is live. */
  get live(): boolean {
    return this.#readers.length === 0 && this.#resolving.length === 0;
  }

  /** The number of events that its catch-up readers hold in memory. */
  get heldEvents(): number {
    let events = 0;
    for (const reader of this.#readers) events += reader.heldEvents;
    return events;
  }

  /** What brings its subscriptions to the head. */
  get readers(): readonly Pick<CatchUpReader, 'tier' | 'isReading'>[] {
    return this.#readers;
  }

  /** Each subscription with its state. */
  states(): Iterable<SubscriptionState> {
    return statesOf(this.#progress());
  }

  has(id: string): boolean {
    return this.#find(id) !== undefined;
  }

  /** The patterns of each subscription, by id. */
  patternsById(): Map<string, readonly string[]> {
    return new Map([...this.#all()].map(({ id, patterns }) => [id, patterns.list]));
  }

  /**
   * The position that every subscription has passed; `undefined` while one of them has none yet.
   * Heartbeats send it, so that the cursors of quiet clients do not expire.
   */
  position(): Position | undefined {
    return positionOf(this.#progress());
  }

  /**
   * @throws TidemarkError `limit_exceeded` when the patterns are too many, and when the start cannot be
   *   resolved; there is no subscription then
   */
  async subscribe(id: string, { patterns, types, start, deliver }: Subscribing): Promise<void> {
    const release = this.context.patternBudget.charge(this.flow.user, patterns, types);
    const wanted = new PatternSet(patterns, types && new TypeFilter(types));
    const subscription = new Subscription(id, wanted, deliver, release);
    this.#resolving = [...this.#resolving, subscription];
    try {
      await findStart(this.context, { flow: this.flow, subscription, start }, (resolved) => {
        // Else it was unsubscribed meanwhile.
        if (this.#resolving.includes(subscription)) this.#begin(subscription, resolved);
      });
    } catch (error) {
      // Unsubscribed meanwhile: a newer subscription may have the id, and the error would name it.
      if (!this.#resolving.includes(subscription)) return;
      this.#resolving = without(this.#resolving, subscription);
      release();
      throw error;
    }
  }

  /** @throws TidemarkError `limit_exceeded` */
  #holdLast(sequences: readonly number[]): LastEvents {
    const holding = this.context.lastBytes?.open(this.flow.user);
    holding?.take(LastEvents.bytesOf(sequences));
    return new LastEvents(sequences, () => holding?.release());
  }

  /** @returns false when there is no such subscription */
  unsubscribe(id: string): boolean {
    const subscription = this.#find(id);
    if (!subscription) return false;
    subscription.release();
    if (this.#resolving.includes(subscription)) {
      this.#resolving = without(this.#resolving, subscription);
      subscription.stopResolving?.();
      return true;
    }
    this.#observer.unsubscribed(id);
    subscription.endCatchUp('left');
    const reader = this.#readers.find(({ subscriptions }) => subscriptions.includes(subscription));
    if (reader) {
      this.#endReader(reader);
      this.#startReader(without(reader.subscriptions, subscription), reader.sequence);
    } else {
      this.#regroup(without(this.#live, subscription));
    }
    this.#noteCaughtUp();
    return true;
  }

  /** Called when the socket takes bytes again. */
  drained(): void {
    for (const reader of this.#readers) this.context.userWork.schedule(reader, this.flow);
  }

  send(bytes: Uint8Array | undefined): void {
    if (!this.#closed && bytes) this.sink.write(bytes);
  }

  close(reason: CloseReason, message: string): void {
    if (this.#closed) return;
    this.#observer.closing(reason);
    this.ended();
    this.sink.close(reason, message);
  }

  /** Called when the socket has closed or is about to close. */
  ended(): void {
    this.#closed = true;
    endCatchUps(this.#all(), 'left');
    for (const subscription of this.#all()) subscription.release();
    this.context.behind.delete(this);
    this.#log.removeListener(this);
    this.#leaveGroup();
    this.#endReaders();
    for (const subscription of this.#resolving) subscription.stopResolving?.();
    this.#resolving = NONE;
    this.#live = NONE;
  }

  // Called by the subscriber group, the catch-up readers and the log.

  fallBehind(sequence: number): void {
    this.context.counters.fellBehind++;
    this.fellBehind++;
    this.waitsForSocket();
    this.#group = undefined;
    const subscriptions = this.#live;
    this.#live = NONE;
    this.#startReader(subscriptions, sequence);
    this.#noteCaughtUp();
  }

  waitsForSocket(): void {
    const { behind, clock } = this.context;
    if (!this.#closed) behind.noteSlow(this, clock.nowMs());
  }

  goLive(reader: CatchUpReader): void {
    this.#endReader(reader);
    for (const subscription of reader.subscriptions) {
      if (subscription.sentLive) continue;
      subscription.sentLive = true;
      this.send(this.encoder.live(subscription.id, this.#positionAt(reader.sequence)));
    }
    endCatchUps(reader.subscriptions, 'live');
    for (const subscription of reader.subscriptions) {
      subscription.after = reader.sequence;
      subscription.incompleteSince = undefined;
    }
    this.#regroup(this.#live.concat(reader.subscriptions));
    this.#noteCaughtUp();
  }

  sendExpiredGap(reader: CatchUpReader, through: number): void {
    for (const { id, after } of reader.subscriptions) {
      if (after >= through) continue;
      const from = this.#positionAt(Math.max(after, reader.sequence));
      this.#sendGap(id, { from, to: this.#positionAt(through), reason: 'expired' });
    }
  }

  sendSkipped(reader: CatchUpReader): void {
    for (const subscription of reader.subscriptions) {
      const { id, skipped } = subscription;
      if (skipped === 0) continue;
      subscription.skipped = 0;
      this.context.counters.skipped += skipped;
      this.send(this.encoder.skipped(id, skipped, this.#positionAt(reader.sequence)));
    }
  }

  fail(reader: CatchUpReader, error: TidemarkError): void {
    this.#endReader(reader);
    this.#noteCaughtUp();
    this.#failAll(reader.subscriptions, error);
  }

  #failAll(subscriptions: readonly Subscription[], error: TidemarkError): void {
    endCatchUps(subscriptions, 'failed');
    for (const subscription of subscriptions) {
      const { id } = subscription;
      subscription.release();
      this.#observer.unsubscribed(id);
      this.send(this.encoder.error(id, error.toBody()));
      this.#onFailed?.(id, error);
    }
  }

  suspend(): (change?: LogChange) => void {
    const begun = [...this.states()];
    this.#leaveGroup();
    this.#live = NONE;
    this.#endReaders();
    return (change) => {
      for (const { subscription, position } of begun) {
        if (!position) continue;
        // Some of its last events are lost, and nobody knows those before them now.
        if (subscription.last && change && change.sequence < subscription.after) {
          this.#failAll([subscription], lostLast());
          continue;
        }
        this.#startReader([subscription], this.#applyChange(subscription, position, change));
      }
      this.#noteCaughtUp();
    };
  }

  /** Sends a gap for the lost events. @returns the sequence at which the subscription goes on */
  #applyChange(subscription: Subscription, from: Position, change: LogChange | undefined): number {
    if (!change) return from.sequence;
    const { reason } = change;
    // Events may be lost that others were skipped for. The skipped ones are then read again.
    const sequence = Math.min(change.sequence, subscription.incompleteSince ?? change.sequence);
    if (reason === 'future' && from.sequence <= sequence) return from.sequence;
    subscription.incompleteSince = undefined;
    this.context.counters.gaps++;
    subscription.after = sequence;
    this.#sendGap(subscription.id, { from, to: this.#positionAt(sequence), reason });
    return sequence;
  }

  /** @throws TidemarkError `limit_exceeded` where there is no room for its last events */
  #begin(subscription: Subscription, { sequence, gap, last }: ResolvedStart): void {
    const { id } = subscription;
    subscription.last = last && this.#holdLast(last.sequences);
    this.#resolving = without(this.#resolving, subscription);
    subscription.after = sequence;
    this.#log.reserveStart(sequence);
    const position = this.#positionAt(sequence);
    // Whoever gets last events catches up, wherever the events after them begin.
    const head = Math.max(this.#log.tail.head, last ? sequence + 1 : 0);
    const patterns = subscription.patterns.list;
    subscription.catchUpObserver = this.#observer.subscribed({ id, patterns }, { position, head });
    this.send(this.encoder.subscribed(id, position, last ? 'last' : gap && 'gap'));
    for (const { from, to } of last?.missing ?? []) this.#sendLastGap(id, from - 1, to);
    if (gap) {
      this.context.counters.gaps++;
      this.#sendGap(id, { ...gap, to: this.#positionAt(sequence) });
    }
    this.context.counters.catchUps += sequence === head ? 0 : 1;
    this.#startReader([subscription], sequence);
  }

  /** A newer event of any topic may have been in a part that no archive has. */
  #sendLastGap(id: string, after: number, through: number): void {
    const [from, to] = [this.#positionAt(after), this.#positionAt(through)];
    const gap = { from, to, reason: 'expired' } as const;
    this.context.counters.gaps++;
    this.send(this.encoder.lastGap(id, gap));
    this.#observer.gap(id, gap);
  }

  #sendGap(id: string, gap: Gap): void {
    this.send(this.encoder.gap(id, gap));
    this.#observer.gap(id, gap);
  }

  /**
   * Starts a catch-up reader at a sequence for these subscriptions and all that overlap them. If one of
   * them received an event early, the client's cursors of the others would move past their own events.
   */
  #startReader(subscriptions: readonly Subscription[], sequence: number): void {
    if (subscriptions.length === 0) return;
    const joined = [...subscriptions];
    for (const one of joined) one.after = Math.max(one.after, sequence);
    const start = this.#absorbOverlaps(joined, sequence);
    const reader = new CatchUpReader(this, joined, start);
    this.#readers = [...this.#readers, reader];
    if (reader.caughtUp) {
      this.goLive(reader);
      return;
    }
    if (!this.#closed) this.context.behind.add(this);
    this.context.userWork.schedule(reader, this.flow);
  }

  /**
   * Adds every subscription that overlaps one of `joined`, directly or through others.
   *
   * @returns the sequence at which all of them go on
   */
  #absorbOverlaps(joined: Subscription[], sequence: number): number {
    let start = sequence;
    for (let checked = 0; checked < joined.length; ) {
      const patterns = PatternSet.union(joined.slice(checked).map((one) => one.patterns));
      checked = joined.length;
      for (const reader of this.#readers) {
        if (!reader.overlaps(patterns)) continue;
        this.#endReader(reader);
        for (const one of reader.subscriptions) one.after = Math.max(one.after, reader.sequence);
        joined.push(...reader.subscriptions);
        start = Math.min(start, reader.sequence);
      }
      // At the head there is nothing to catch up on: these subscriptions join the live ones.
      const { head } = this.#log.tail;
      const isBehind = joined.some(({ after, last }) => after > head || last !== undefined);
      if (start === head && !isBehind) continue;
      const live = this.#live.filter((one) => one.patterns.overlaps(patterns));
      if (live.length === 0) continue;
      const liveSequence = this.#liveSequence();
      for (const one of live) one.after = liveSequence;
      joined.push(...live);
      start = Math.min(start, liveSequence);
      this.#regroup(this.#live.filter((one) => !live.includes(one)));
    }
    return start;
  }

  #endReader(reader: CatchUpReader): void {
    this.#readers = without(this.#readers, reader);
    reader.end();
  }

  /** Called when a reader has ended for good. One that others take over leaves the connection behind. */
  #noteCaughtUp(): void {
    if (this.#readers.length === 0) this.context.behind.delete(this);
  }

  #endReaders(): void {
    for (const reader of this.#readers) reader.end();
    this.#readers = NONE;
  }

  /** Makes these the live subscriptions, all at the sequence of the present live ones. */
  #regroup(subscriptions: readonly Subscription[]): void {
    const sequence = this.#liveSequence();
    const from = this.#group;
    const isBehind = sequence < this.#log.tail.head;
    if (isBehind || subscriptions.length === 0) this.#leaveGroup();
    if (isBehind) {
      // The old group has not delivered every event yet, so a catch-up reader does.
      this.#live = NONE;
      this.#startReader(subscriptions, sequence);
      return;
    }
    this.#live = subscriptions;
    if (subscriptions.length === 0) return;
    const patterns = PatternSet.union(subscriptions.map((one) => one.patterns));
    for (const one of subscriptions) one.patterns.forgetMatcher();
    const at = { encoder: this.encoder, sequence, from };
    this.#group = this.context.hub.moveTo(this, patterns, at);
  }

  #leaveGroup(): void {
    this.#group?.removeMember(this);
    this.#group = undefined;
  }

  #liveSequence(): number {
    return this.#group?.sequenceBehindHead(this) ?? this.#log.tail.head;
  }

  #progress(): Progress {
    const { epoch } = this.#log;
    const liveSequence = this.#liveSequence();
    const [resolving, readers, live] = [this.#resolving, this.#readers, this.#live];
    return { epoch, resolving, readers, live, liveSequence };
  }

  #positionAt(sequence: number): Position {
    return { epoch: this.#log.epoch, sequence };
  }

  #find(id: string): Subscription | undefined {
    for (const subscription of this.#all()) if (subscription.id === id) return subscription;
    return undefined;
  }

  *#all(): Iterable<Subscription> {
    yield* this.#resolving;
    yield* this.#live;
    for (const reader of this.#readers) yield* reader.subscriptions;
  }
}

function lostLast(): TidemarkError {
  return new TidemarkError('unavailable', 'The log has changed; subscribe again.', {
    retryAfterSeconds: 1,
  });
}

function endCatchUps(subscriptions: Iterable<Subscription>, how: CatchUpEnd): void {
  for (const subscription of subscriptions) subscription.endCatchUp(how);
}

function without<T>(all: readonly T[], one: T): readonly T[] {
  if (all.length === 1 && all[0] === one) return NONE;
  return all.filter((other) => other !== one);
}
