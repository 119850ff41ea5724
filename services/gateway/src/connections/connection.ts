import type { CloseReason, Deliver, Position, Start, TidemarkError } from '@tidemark/protocol';
import type { Outlet } from '../fan-out/sink.ts';
import type { Cohort, LiveConnection } from '../fan-out/subscriber-group.ts';
import type { Receipt } from '../log/event-entry.ts';
import type { Log, LogChange, LogReader } from '../log/event-log.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { ResolvedStart } from '../sources/start-resolver.ts';
import { Lane, type LaneOwner } from './catch-up-reader.ts';
import type { Dialect, Gap } from './encoder.ts';
import type { CatchUpEnd, ConnectionObserver } from './observer.ts';
import { Subscription } from './subscription.ts';

export interface ConnectionOptions {
  readonly log: Log;
  readonly outlet: Outlet;
  readonly dialect: Dialect;
  /** Called once a subscription has ended by a failure of ours. */
  readonly onFailed?: (id: string, error: TidemarkError) => void;
  readonly observer?: ConnectionObserver | undefined;
}

export interface Subscribing {
  readonly patterns: readonly string[];
  readonly start: Start;
  readonly deliver: Deliver;
}

/**
 * One client: its subscriptions and where each of them stands. There is no queue: what a socket
 * does not take is read again from the log when it does.
 *
 * Subscriptions that are live are together in one cohort; the others are in lanes. Everything that
 * moves a subscription from one to the other is synchronous, so that nothing falls in between.
 */
export class Connection implements LiveConnection, LaneOwner, LogReader {
  readonly log: Log;
  readonly outlet: Outlet;
  readonly dialect: Dialect;
  liveSequence = 0;
  delivered = 0;
  onWritten: ((receipt: Receipt) => void) | undefined;
  readonly #observer: ConnectionObserver | undefined;
  readonly #onFailed: NonNullable<ConnectionOptions['onFailed']> | undefined;
  // Lists, not tables: an idle connection should be small, and there are few of each.
  #resolving: readonly Subscription[] = [];
  #lanes: readonly Lane[] = [];
  #live: readonly Subscription[] = [];
  #cohort: Cohort | undefined;
  #closed = false;

  constructor({ log, outlet, dialect, onFailed, observer }: ConnectionOptions) {
    this.#observer = observer;
    this.log = log;
    this.outlet = outlet;
    this.dialect = dialect;
    this.#onFailed = onFailed;
    log.join(this);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get subscriptions(): number {
    return [...this.#all()].length;
  }

  /** Whether every subscription is live. */
  get live(): boolean {
    return this.#lanes.length === 0 && this.#resolving.length === 0;
  }

  /** Events that its lanes keep in memory by themselves. */
  get heldEvents(): number {
    let events = 0;
    for (const lane of this.#lanes) events += lane.heldEvents;
    return events;
  }

  has(id: string): boolean {
    return this.#find(id) !== undefined;
  }

  /** The patterns of each subscription, by id. */
  patterns(): Map<string, readonly string[]> {
    return new Map([...this.#all()].map(({ id, patterns }) => [id, patterns.patterns]));
  }

  /**
   * The position that every subscription has passed; `undefined` while one of them has none yet.
   * A heartbeat tells it, so that quiet clients do not fall out of retention.
   */
  position(): Position | undefined {
    if (this.#resolving.length > 0 || (this.#live.length === 0 && this.#lanes.length === 0)) {
      return undefined;
    }
    const lanes = this.#lanes.map(({ position }) => position);
    return this.#at(Math.min(this.#livePosition(), ...lanes));
  }

  /** @throws TidemarkError when the start cannot be resolved; the subscription then is not there */
  async subscribe(id: string, { patterns, start, deliver }: Subscribing): Promise<void> {
    const subscription = new Subscription(id, new PatternSet(patterns), deliver);
    this.#resolving = [...this.#resolving, subscription];
    let resolved: ResolvedStart;
    try {
      let changes: number;
      do {
        ({ changes } = this.log);
        const answer = this.log.resolve(start);
        // Not awaited where the tail knows: the order of messages then is the order of events.
        resolved = answer instanceof Promise ? await answer : answer;
      } while (changes !== this.log.changes);
    } catch (error) {
      // An error would be taken for that of a newer subscription of the same name.
      if (!this.#resolving.includes(subscription)) return;
      this.#resolving = without(this.#resolving, subscription);
      throw error;
    }
    if (this.#resolving.includes(subscription)) this.#begin(subscription, resolved);
  }

  /** @returns false when there is no such subscription */
  unsubscribe(id: string): boolean {
    const subscription = this.#find(id);
    if (!subscription) return false;
    if (this.#resolving.includes(subscription)) {
      this.#resolving = without(this.#resolving, subscription);
      return true;
    }
    this.#observer?.unsubscribed(id);
    endCatchUps([subscription], 'left');
    const lane = this.#lanes.find(({ subscriptions }) => subscriptions.includes(subscription));
    if (lane) {
      this.#endLane(lane);
      this.#startLane(without(lane.subscriptions, subscription), lane.position);
    } else {
      this.#regroup(without(this.#live, subscription));
    }
    return true;
  }

  /** The socket takes bytes again. */
  drained(): void {
    for (const lane of this.#lanes) this.log.turns.add(lane);
  }

  send(bytes: Uint8Array | undefined): void {
    if (!this.#closed && bytes) this.outlet.write(bytes);
  }

  close(reason: CloseReason, message: string): void {
    if (this.#closed) return;
    this.#observer?.closing(reason);
    this.ended();
    this.outlet.close(reason, message);
  }

  /** The socket is gone, or is about to be. */
  ended(): void {
    this.#closed = true;
    endCatchUps(this.#all(), 'left');
    this.log.leave(this);
    this.#cohort?.leave(this);
    this.#cohort = undefined;
    this.#endLanes();
    this.#resolving = [];
    this.#live = [];
  }

  // What cohorts, lanes and the log ask for.

  fallBehind(position: number): void {
    this.log.counts.fellBehind++;
    this.#cohort = undefined;
    const subscriptions = this.#live;
    this.#live = [];
    this.#startLane(subscriptions, position);
  }

  goLive(lane: Lane): void {
    this.#endLane(lane);
    for (const subscription of lane.subscriptions) {
      if (subscription.toldLive) continue;
      subscription.toldLive = true;
      this.send(this.dialect.live(subscription.id, this.#at(lane.position)));
    }
    endCatchUps(lane.subscriptions, 'live');
    for (const subscription of lane.subscriptions) {
      subscription.after = lane.position;
      subscription.incompleteSince = undefined;
    }
    this.#regroup([...this.#live, ...lane.subscriptions]);
  }

  passGap(lane: Lane, through: number): void {
    for (const { id, after } of lane.subscriptions) {
      if (after >= through) continue;
      const from = this.#at(Math.max(after, lane.position));
      this.#tellGap(id, { from, to: this.#at(through), reason: 'expired' });
    }
  }

  tellPassedOver(lane: Lane): void {
    for (const subscription of lane.subscriptions) {
      const { id, passedOver } = subscription;
      if (passedOver === 0) continue;
      subscription.passedOver = 0;
      this.log.counts.passedOver += passedOver;
      this.send(this.dialect.skipped(id, passedOver, this.#at(lane.position)));
    }
  }

  fail(lane: Lane, error: TidemarkError): void {
    this.#endLane(lane);
    endCatchUps(lane.subscriptions, 'failed');
    for (const { id } of lane.subscriptions) {
      this.#observer?.unsubscribed(id);
      this.send(this.dialect.error(id, error.toBody()));
      this.#onFailed?.(id, error);
    }
  }

  suspend(): (change?: LogChange) => void {
    const places = this.#places();
    this.#cohort?.leave(this);
    this.#cohort = undefined;
    this.#live = [];
    this.#endLanes();
    return (change) => {
      for (const { subscription, position } of places) {
        this.#startLane([subscription], this.#adopt(subscription, position, change));
      }
    };
  }

  /** @returns where the subscription goes on, having told what the change took from it */
  #adopt(subscription: Subscription, from: Position, change: LogChange | undefined): number {
    if (!change) return from.sequence;
    const { reason } = change;
    // What was to come in the place of passed over events may be lost: those count again.
    const sequence = Math.min(change.sequence, subscription.incompleteSince ?? change.sequence);
    if (reason === 'future' && from.sequence <= sequence) return from.sequence;
    subscription.incompleteSince = undefined;
    this.log.counts.gaps++;
    subscription.after = sequence;
    this.#tellGap(subscription.id, { from, to: this.#at(sequence), reason });
    return sequence;
  }

  #begin(subscription: Subscription, { sequence, gap }: ResolvedStart): void {
    const { id } = subscription;
    this.#resolving = without(this.#resolving, subscription);
    subscription.after = sequence;
    this.log.claim(sequence);
    const position = this.#at(sequence);
    const { head } = this.log.tail;
    const { patterns } = subscription.patterns;
    subscription.catchUp = this.#observer?.subscribed({ id, patterns }, { position, head });
    this.send(this.dialect.subscribed(id, position));
    if (gap) {
      this.log.counts.gaps++;
      this.#tellGap(id, { ...gap, to: this.#at(sequence) });
    }
    this.log.counts.catchUps += sequence === this.log.tail.head ? 0 : 1;
    this.#startLane([subscription], sequence);
  }

  #tellGap(id: string, gap: Gap): void {
    this.send(this.dialect.gap(id, gap));
    this.#observer?.gap(id, gap);
  }

  /**
   * Subscriptions go on from a position: together with all that overlap them, because an event
   * that one of them takes out of turn would move the client's cursor for the others too.
   */
  #startLane(subscriptions: readonly Subscription[], position: number): void {
    if (subscriptions.length === 0) return;
    const group = [...subscriptions];
    for (const one of group) one.after = Math.max(one.after, position);
    const at = this.#absorbOverlaps(group, position);
    const lane = new Lane(this, group, at);
    this.#lanes = [...this.#lanes, lane];
    if (lane.caughtUp) this.goLive(lane);
    else this.log.turns.add(lane);
  }

  /** Moves what overlaps into the group, however indirectly. @returns the group's position */
  #absorbOverlaps(group: Subscription[], position: number): number {
    let at = position;
    for (let grown = true; grown; ) {
      grown = false;
      const patterns = PatternSet.union(group.map((one) => one.patterns));
      for (const lane of this.#lanes) {
        if (!lane.overlaps(patterns)) continue;
        this.#endLane(lane);
        for (const one of lane.subscriptions) one.after = Math.max(one.after, lane.position);
        group.push(...lane.subscriptions);
        at = Math.min(at, lane.position);
        grown = true;
      }
      // At the head there is nothing to wait for: the group joins those that are live.
      const { head } = this.log.tail;
      if (at === head && group.every(({ after }) => after <= head)) continue;
      const live = this.#live.filter((one) => one.patterns.overlaps(patterns));
      if (live.length === 0) continue;
      const livePosition = this.#livePosition();
      for (const one of live) one.after = livePosition;
      group.push(...live);
      at = Math.min(at, livePosition);
      this.#regroup(this.#live.filter((one) => !live.includes(one)));
      grown = true;
    }
    return at;
  }

  #endLane(lane: Lane): void {
    this.#lanes = without(this.#lanes, lane);
    lane.end();
  }

  #endLanes(): void {
    for (const lane of this.#lanes) lane.end();
    this.#lanes = [];
  }

  /** These subscriptions are the live ones now, all of them at the position of the present ones. */
  #regroup(subscriptions: readonly Subscription[]): void {
    const position = this.#livePosition();
    this.#cohort?.leave(this);
    this.#cohort = undefined;
    const { tail, hub } = this.log;
    if (position < tail.head) {
      // The old cohort has not given everything yet: the tail does.
      this.#live = [];
      this.#startLane(subscriptions, position);
      return;
    }
    this.#live = subscriptions;
    if (subscriptions.length === 0) return;
    const patterns = PatternSet.union(subscriptions.map((one) => one.patterns));
    this.#cohort = hub.join(this, patterns, { encoding: this.dialect, position });
  }

  #livePosition(): number {
    return this.#cohort?.behindAt(this) ?? this.log.tail.head;
  }

  #places(): { subscription: Subscription; position: Position }[] {
    const live = this.#livePosition();
    const lanes = this.#lanes.flatMap(({ subscriptions, position }) =>
      subscriptions.map((subscription) => ({
        subscription,
        position: this.#at(Math.max(position, subscription.after)),
      })),
    );
    return [
      ...lanes,
      ...this.#live.map((subscription) => ({ subscription, position: this.#at(live) })),
    ];
  }

  #at(sequence: number): Position {
    return { epoch: this.log.epoch, sequence };
  }

  #find(id: string): Subscription | undefined {
    for (const subscription of this.#all()) if (subscription.id === id) return subscription;
    return undefined;
  }

  *#all(): Iterable<Subscription> {
    yield* this.#resolving;
    yield* this.#live;
    for (const lane of this.#lanes) yield* lane.subscriptions;
  }
}

function endCatchUps(subscriptions: Iterable<Subscription>, how: CatchUpEnd): void {
  for (const subscription of subscriptions) {
    subscription.catchUp?.end(how);
    subscription.catchUp = undefined;
  }
}

function without<T>(all: readonly T[], one: T): readonly T[] {
  return all.filter((other) => other !== one);
}
