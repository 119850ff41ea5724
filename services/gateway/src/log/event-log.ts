import {
  type Erasure,
  type GapReason,
  type Lineage,
  type LogBounds,
  type LogEvent,
  type SequenceRange,
  toPresent,
} from '@tidemark/protocol';
import { type DeliveryTrace, EventEntry } from './event-entry.ts';
import type { KnownErasures } from './known-erasures.ts';
import { Slab } from './slab.ts';
import { Tail, type TailLimits } from './tail.ts';
import type { Topic } from './topic.ts';

/** The stream became another log. No position after `sequence` is valid any more. */
export interface LogChange {
  readonly sequence: number;
  readonly reason: Exclude<GapReason, 'expired'>;
}

/** An object that holds positions in the log. */
export interface LogListener {
  /**
   * Gives up its positions, because the tail is about to restart. The log then calls the returned
   * function, which restores them. Its argument is the change, if the log became another one.
   */
  suspend(): (change?: LogChange) => void;
}

/** An object that waits for the log's next event. */
export interface HeadWaiter {
  headMoved(): void;
}

export interface EventLogOptions {
  readonly tail: TailLimits;
  /** The wall clock, which tells what has expired. The system's clock if absent. */
  readonly wallMs?: (() => number) | undefined;
  /** Called for each event, after the tail has it. */
  readonly onAppended: (entry: EventEntry, topic: Topic) => void;
  /** Called when the tail restarts, before listeners restore their positions. */
  readonly onRestarted: () => void;
}

/**
 * Event log: the stream as one gateway sees it, with its epoch, its tail, and the objects that hold
 * positions in it. No state is global, so a process can have several logs.
 *
 *     not begun --begin()--> begun --begin(), after each loss of the feed--> begun
 */
export class EventLog {
  readonly tail: Tail;
  readonly #onAppended: EventLogOptions['onAppended'];
  readonly #onRestarted: EventLogOptions['onRestarted'];
  readonly #slab = new Slab();
  readonly #listeners = new Set<LogListener>();
  readonly #headWaiters = new Set<HeadWaiter>();
  #lineage: Lineage = { epoch: '' };
  #beginnings = 0;
  /** What a fill of the tail has to know; absent when there is none. */
  #fillErasures: KnownErasures | undefined;
  /** The highest sequence at which a subscription began; the tail may not have reached it yet. */
  #highestReserved = 0;

  constructor({ tail, wallMs, onAppended, onRestarted }: EventLogOptions) {
    this.tail = new Tail(0, tail, wallMs);
    this.#onAppended = onAppended;
    this.#onRestarted = onRestarted;
  }

  /** The present epoch; empty until the feed has begun. */
  get epoch(): string {
    return this.#lineage.epoch;
  }

  /** The present epoch, and those before it. */
  get lineage(): Lineage {
    return this.#lineage;
  }

  get begun(): boolean {
    return this.epoch !== '';
  }

  /** Grows with each start of the feed. What was asked of the stream before may be about an end that it has lost. */
  get beginnings(): number {
    return this.#beginnings;
  }

  /** Whether the log, or the start of a subscription, lies beyond a sequence. */
  isBeyond(sequence: number): boolean {
    return sequence < Math.max(this.tail.head, this.#highestReserved);
  }

  addListener(listener: LogListener): void {
    this.#listeners.add(listener);
  }

  removeListener(listener: LogListener): void {
    this.#listeners.delete(listener);
  }

  /** Calls the waiter once, when the head has moved. */
  awaitHead(waiter: HeadWaiter): void {
    this.#headWaiters.add(waiter);
  }

  /** Notes that a subscription begins after this sequence, which the stream has assigned. */
  reserveStart(sequence: number): void {
    this.#highestReserved = Math.max(this.#highestReserved, sequence);
  }

  /**
   * Called when the feed starts, or starts again, on a stream with these bounds.
   *
   * @param lastInCommon the last sequence that the stream still shares with this log, where the two
   *   diverged
   * @returns the sequence after which the feed reads
   */
  begin(stream: LogBounds, lastInCommon = stream.lastSequence): number {
    this.#beginnings++;
    const { tail } = this;
    const { epoch, earlier } = stream;
    const lineage = { epoch, ...(earlier && { earlier }) };
    const shared = toPresent(stream, { epoch: this.epoch, sequence: tail.head });
    const end = Math.min(stream.lastSequence, lastInCommon);
    if (!this.begun) {
      this.#lineage = lineage;
      tail.reset(stream.lastSequence);
    } else if (!shared) {
      // The archive may hold what the new stream has dropped already.
      const change = { sequence: 0, reason: 'epoch' } as const;
      this.#restart(lineage, change, stream.firstSequence - 1);
    } else if (epoch !== this.epoch) {
      this.#enterEpoch(lineage, end);
    } else if (this.isBeyond(end)) {
      this.#restart(lineage, { sequence: end, reason: 'future' });
    } else if (tail.head + 1 < stream.firstSequence) {
      // Retention overtook this gateway while it was away; the archive has what it missed.
      this.#restart(lineage, undefined, stream.firstSequence - 1);
    }
    return tail.head;
  }

  /** Appends the feed's next event and delivers it to the live subscribers of its topic. */
  appendEvent(event: LogEvent, deliveryTrace?: DeliveryTrace): void {
    const { sequence, timeMs, json } = event;
    this.#checkSequence(sequence);
    const topic = this.tail.openTopic(event.topic);
    const kept = { sequence, topic: topic.name, timeMs, json: this.#slab.copy(json) };
    const entry = new EventEntry(this.epoch, kept, deliveryTrace);
    this.#onAppended(entry, this.tail.appendEntry(entry, topic));
    this.#wakeHeadWaiters();
  }

  /** Tells a fill of the tail what is erased from now on; nobody if absent. */
  tellErasures(known: KnownErasures | undefined): void {
    this.#fillErasures = known;
  }

  /**
   * Puts older events of the present epoch before those of the tail. They were delivered before, so nobody is told.
   *
   * @param events all from the sequence after `after` up to the tail's floor, in ascending order
   * @returns whether there was room for all
   */
  prependEvents(events: readonly LogEvent[], after: number): boolean {
    const entries = events.map(({ sequence, topic, timeMs, json }) => {
      const kept = {
        sequence,
        topic: this.tail.topics.get(topic)?.name ?? topic,
        timeMs,
        json: this.#slab.copy(json),
      };
      return new EventEntry(this.epoch, kept);
    });
    return this.tail.prependEntries(entries, after);
  }

  /** Moves the head past events that were erased before the feed came to them. */
  skipErased({ from, to }: SequenceRange): void {
    this.#checkSequence(from);
    this.tail.advanceHead(to);
    this.#wakeHeadWaiters();
  }

  /** Erases events from the tail, as a record at a sequence says. */
  eraseEvents(erasure: Erasure, record: number): void {
    const { topic, sequences } = erasure;
    this.#fillErasures?.add(erasure, record);
    if (topic !== undefined) this.tail.eraseTopic(topic, record);
    else for (const sequence of sequences) this.tail.eraseEvent(sequence);
  }

  /** Moves the head past a message that is not a valid event. */
  skipInvalid(sequence: number): void {
    this.#checkSequence(sequence);
    this.tail.advanceHead(sequence);
    this.#wakeHeadWaiters();
  }

  /** The log lost its end, and goes on in an epoch that shares the present one up to a sequence. */
  #enterEpoch(lineage: Lineage, end: number): void {
    const { sequence: shared } = toPresent(lineage, {
      epoch: this.epoch,
      sequence: Number.MAX_SAFE_INTEGER,
    }) ?? { sequence: 0 };
    const sequence = Math.min(shared, end);
    // The entries of the tail name the old epoch, so the tail begins anew.
    const head = Math.min(this.tail.head, sequence);
    this.#restart(lineage, { sequence, reason: 'future' }, head);
  }

  /**
   * What was erased is skipped, so a jump means that retention was faster than the feed. The tail restarts, and every reader goes on from its own position in the archive.
   */
  #checkSequence(sequence: number): void {
    if (sequence > this.tail.head + 1) this.#restart(this.#lineage, undefined, sequence - 1);
  }

  #wakeHeadWaiters(): void {
    if (this.#headWaiters.size === 0) return;
    for (const waiter of this.#headWaiters) waiter.headMoved();
    this.#headWaiters.clear();
  }

  #restart(
    lineage: Lineage,
    change: LogChange | undefined,
    sequence = change?.sequence ?? 0,
  ): void {
    const restore = [...this.#listeners].map((listener) => listener.suspend());
    this.#lineage = lineage;
    if (change) this.#highestReserved = 0;
    this.tail.reset(sequence);
    this.#onRestarted();
    for (const restorePositions of restore) restorePositions(change);
  }
}
