import type { Counters } from '../counters/counters.ts';
import { EntryQueue } from '../log/entry-queue.ts';
import type { DeliveryTrace, EventEncoder, EventEntry } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type { EventSubscriber } from '../log/topic.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { Task, TaskScheduler } from '../scheduling/task-scheduler.ts';
import { type Batch, BatchBuilder, type WriteBuffer } from './batch.ts';
import { Members } from './members.ts';
import { openFilters, type Route, routesOf, type TypeFilters } from './routes.ts';
import type { Sink } from './sink.ts';

/**
 * Entries that may wait for a round to end. At this length the feed pauses until the round ends,
 * which bounds the queue to this plus what one slice of the feed adds.
 */
export const GROUP_QUEUE_MAX = 1024;

/** Bytes of JSON that may wait for a round to end; at these the feed pauses as well. */
export const GROUP_BYTES_MAX = 4 * 1024 * 1024;

/** Writes between two readings of the clock. A write takes 10 µs, a full batch 50. */
const WRITES_PER_CLOCK = 16;

/** A connection with live subscriptions. */
export interface LiveConnection {
  readonly sink: Sink;
  /** The sequence of the last event that the group wrote to it. */
  liveSequence: number;
  /** Events written to it since it connected. */
  delivered: number;
  /** Called for each traced event that is written to it; absent unless its client asked for that. */
  readonly onWritten?: ((deliveryTrace: DeliveryTrace) => void) | undefined;
  /** Called when its socket is full and it has left the group. It goes on alone after this sequence. */
  fallBehind(sequence: number): void;
}

export interface GroupContext {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly writeBuffer: WriteBuffer;
  /** The wall clock, for the age of events. */
  readonly wallMs: () => number;
  readonly tasks: Pick<TaskScheduler, 'schedule' | 'pauseFeed' | 'resumeFeed'>;
  /** Called when the last member has left. */
  readonly onEmpty: (group: SubscriberGroup) => void;
}

/**
 * Subscriber group: live connections of one transport with the same patterns and types. They receive the same
 * bytes, so the group concatenates the events since the last round once and writes them to each member.
 *
 * A round visits every member; with many members it takes several turns of the loop. An entry leaves
 * the queue at the end of the first round that began after it came. By then every member has it.
 */
export class SubscriberGroup implements Task, EventSubscriber {
  readonly #encoder: EventEncoder;
  readonly #context: GroupContext;
  readonly #members = new Members<LiveConnection>();
  readonly #queue = new EntryQueue();
  #queuedBytes = 0;
  #patterns: PatternSet;
  /** By the keys of their types; absent where the group has none. */
  #filters: TypeFilters | undefined;
  #round: { readonly members: IterableIterator<LiveConnection>; readonly head: number } | undefined;
  /** The last result of `#batchesAfter`, which most members of a round share. */
  #shared: { after: number; head: number; batches: readonly Batch[] } | undefined;

  constructor(patterns: PatternSet, encoder: EventEncoder, context: GroupContext) {
    this.#patterns = patterns;
    this.#encoder = encoder;
    this.#context = context;
    this.#filters = openFilters(patterns, this);
  }

  get encoder(): EventEncoder {
    return this.#encoder;
  }

  get patterns(): PatternSet {
    return this.#patterns;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Called when the sole member wants other patterns from now on. */
  repattern(patterns: PatternSet): void {
    this.#patterns = patterns;
    this.#filters = openFilters(patterns, this, this.#filters);
  }

  /** Each pattern with what receives its events: the group, or one of its filters. */
  routes(): Route[] {
    return routesOf(this.#patterns, this, this.#filters);
  }

  /** @param sequence the connection has every event up to it */
  addMember(connection: LiveConnection, sequence: number): void {
    connection.liveSequence = sequence;
    this.#members.add(connection);
  }

  removeMember(connection: LiveConnection): void {
    if (this.#members.delete(connection) && this.#members.size === 0) {
      this.#dropQueue();
      this.#context.onEmpty(this);
    }
  }

  /** The sequence that a member has reached; `undefined` for a member at the head of the log. */
  sequenceBehindHead({ liveSequence }: LiveConnection): number | undefined {
    const { last } = this.#queue;
    if (!last || last.sequence <= liveSequence) return undefined;
    const next = this.#queue.at(this.#queue.indexAfter(liveSequence));
    return next && next.sequence - 1;
  }

  enqueueEvent(entry: EventEntry): void {
    // Several filters of the group may accept it.
    if (this.#filters && this.#queue.last === entry) return;
    this.#queue.push(entry);
    this.#queuedBytes += entry.json.length;
    entry.deliveryTrace?.enqueued();
    const { tasks } = this.#context;
    if (this.#isFull) tasks.pauseFeed(this);
    tasks.schedule(this);
  }

  run(deadlineMs: number): boolean {
    const { last } = this.#queue;
    if (!last) return false;
    this.#round ??= { members: this.#members.values(), head: last.sequence };
    let writes = 0;
    for (let next = this.#round.members.next(); !next.done; next = this.#round.members.next()) {
      writes += this.#deliver(next.value);
      if (writes < WRITES_PER_CLOCK) continue;
      writes = 0;
      if (this.#context.clock.nowMs() >= deadlineMs) return true;
    }
    this.#endRound(this.#round.head);
    return this.#queue.length > 0;
  }

  #endRound(head: number): void {
    this.#round = undefined;
    this.#endSharing();
    const { counters, wallMs } = this.#context;
    const nowMs = wallMs();
    while ((this.#queue.first?.sequence ?? Number.POSITIVE_INFINITY) <= head) {
      const entry = this.#queue.shift();
      if (!entry) break;
      this.#queuedBytes -= entry.json.length;
      entry.deliveryTrace?.completed();
      counters.deliveryLagMs.observe(nowMs - entry.timeMs, this.#members.size);
    }
    if (!this.#isFull) this.#context.tasks.resumeFeed(this);
  }

  get #isFull(): boolean {
    return this.#queue.length >= GROUP_QUEUE_MAX || this.#queuedBytes >= GROUP_BYTES_MAX;
  }

  /** @returns the number of writes; at least one, because a visit also takes time */
  #deliver(connection: LiveConnection): number {
    const last = this.#queue.last;
    if (!last || last.sequence <= connection.liveSequence) return 1;
    if (this.#members.size === 1) return this.#deliverAlone(connection);
    const { counters } = this.#context;
    let writes = 0;
    for (const batch of this.#batchesAfter(connection.liveSequence, last.sequence)) {
      if (!connection.sink.writable) {
        this.removeMember(connection);
        connection.fallBehind(batch.after);
        break;
      }
      writes++;
      connection.sink.write(batch.bytes);
      connection.liveSequence = batch.through;
      connection.delivered += batch.events;
      if (batch.deliveryTraces) countWritten(batch, connection);
      counters.deliveries += batch.events;
      counters.writeEvents.observe(batch.events);
    }
    return Math.max(1, writes);
  }

  /** Nobody else needs the frames of a sole member, so they are not kept. */
  #deliverAlone(connection: LiveConnection): number {
    const { counters, writeBuffer } = this.#context;
    const waiting = this.#queue.after(connection.liveSequence);
    let writes = 0;
    let written = 0;
    const complete = writeBuffer.writeEntries(
      waiting,
      this.#encoder,
      (bytes, { events, through }) => {
        if (!connection.sink.writable) return 'full';
        const isFlushed = connection.sink.write(bytes);
        writes++;
        connection.liveSequence = through;
        connection.delivered += events;
        counters.deliveries += events;
        counters.writeEvents.observe(events);
        for (const end = written + events; written < end; written++) {
          const deliveryTrace = waiting[written]?.deliveryTrace;
          if (!deliveryTrace) continue;
          deliveryTrace.written(1);
          connection.onWritten?.(deliveryTrace);
        }
        return isFlushed ? 'reusable' : 'retained';
      },
    );
    const next = waiting[written];
    if (!complete && next) {
      this.removeMember(connection);
      connection.fallBehind(next.sequence - 1);
    }
    return Math.max(1, writes);
  }

  #batchesAfter(after: number, head: number): readonly Batch[] {
    const shared = this.#shared;
    const start = this.#queue.indexAfter(after);
    // Members at different sequences share a result when they lack the same entries.
    const first = (this.#queue.at(start)?.sequence ?? 0) - 1;
    if (shared && shared.after === first && shared.head === head) return shared.batches;
    const builder = new BatchBuilder(this.#encoder);
    for (let index = start; index < this.#queue.length; index++) {
      const entry = this.#queue.at(index);
      if (entry) builder.addEntry(entry);
    }
    const batches = builder.finish();
    this.#endSharing();
    this.#shared = { after: first, head, batches };
    return batches;
  }

  /** Called when no further member gets the shared batches. Reports their writes to the traces. */
  #endSharing(): void {
    const shared = this.#shared;
    this.#shared = undefined;
    if (!shared) return;
    for (const { deliveryTraces, written } of shared.batches) {
      if (!deliveryTraces || written === 0) continue;
      for (const deliveryTrace of deliveryTraces) deliveryTrace.written(written);
    }
  }

  /** Drops the queue, because no member is left. */
  #dropQueue(): void {
    this.#endSharing();
    for (let entry = this.#queue.shift(); entry; entry = this.#queue.shift()) {
      entry.deliveryTrace?.completed();
    }
    this.#queuedBytes = 0;
    this.#context.tasks.resumeFeed(this);
  }
}

/** Counts on the batch, so the cost of a write does not grow with the number of traced events. */
function countWritten(batch: Batch, { onWritten }: LiveConnection): void {
  batch.written++;
  if (onWritten) for (const deliveryTrace of batch.deliveryTraces ?? []) onWritten(deliveryTrace);
}
