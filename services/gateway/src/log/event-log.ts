import type { GapReason, LogBounds, LogEvent } from '@tidemark/protocol';
import { type DeliveryTrace, EventEntry } from './event-entry.ts';
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
  #epoch = '';
  #generation = 0;
  /** The highest sequence at which a subscription began; the tail may not have reached it yet. */
  #highestReserved = 0;

  constructor({ tail, onAppended, onRestarted }: EventLogOptions) {
    this.tail = new Tail(0, tail);
    this.#onAppended = onAppended;
    this.#onRestarted = onRestarted;
  }

  /** The stream's incarnation; empty until the feed has begun. */
  get epoch(): string {
    return this.#epoch;
  }

  get begun(): boolean {
    return this.#epoch !== '';
  }

  /** Grows when the stream becomes another log. A result of an older generation is void. */
  get generation(): number {
    return this.#generation;
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
    const { tail } = this;
    const end = Math.min(stream.lastSequence, lastInCommon);
    if (this.#epoch === '') {
      this.#epoch = stream.epoch;
      tail.reset(stream.lastSequence);
    } else if (this.#epoch !== stream.epoch) {
      // The archive may hold what the new stream has dropped already.
      const change = { sequence: 0, reason: 'epoch' } as const;
      this.#restart(stream.epoch, change, stream.firstSequence - 1);
    } else if (end < Math.max(tail.head, this.#highestReserved)) {
      this.#restart(stream.epoch, { sequence: end, reason: 'future' });
    } else if (tail.head + 1 < stream.firstSequence) {
      // Retention overtook this gateway while it was away; the archive has what it missed.
      this.#restart(stream.epoch, undefined, stream.firstSequence - 1);
    }
    return tail.head;
  }

  /** Appends the feed's next event and delivers it to the live subscribers of its topic. */
  appendEvent(event: LogEvent, deliveryTrace?: DeliveryTrace): void {
    const { sequence, topic, timeMs, json } = event;
    this.#checkSequence(sequence);
    const kept = { sequence, topic, timeMs, json: this.#slab.copy(json) };
    const entry = new EventEntry(this.#epoch, kept, deliveryTrace);
    this.#onAppended(entry, this.tail.appendEntry(entry));
    this.#wakeHeadWaiters();
  }

  /** Moves the head past a message that is not a valid event. */
  skipInvalid(sequence: number): void {
    this.#checkSequence(sequence);
    this.tail.advanceHead(sequence);
    this.#wakeHeadWaiters();
  }

  /**
   * Nothing is deleted from the middle of the stream, so a jump means that retention was faster than
   * the feed. The tail restarts, and every reader goes on from its own position in the archive.
   */
  #checkSequence(sequence: number): void {
    if (sequence > this.tail.head + 1) this.#restart(this.#epoch, undefined, sequence - 1);
  }

  #wakeHeadWaiters(): void {
    if (this.#headWaiters.size === 0) return;
    for (const waiter of this.#headWaiters) waiter.headMoved();
    this.#headWaiters.clear();
  }

  #restart(epoch: string, change: LogChange | undefined, sequence = change?.sequence ?? 0): void {
    const restore = [...this.#listeners].map((listener) => listener.suspend());
    this.#epoch = epoch;
    if (change) {
      this.#generation++;
      this.#highestReserved = 0;
    }
    this.tail.reset(sequence);
    this.#onRestarted();
    for (const restorePositions of restore) restorePositions(change);
  }
}
