import type { Counts } from '../counters/counters.ts';
import { EntryQueue } from '../log/entry-queue.ts';
import type { Entry, EventEncoding, Receipt } from '../log/event-entry.ts';
import type { PatternSet } from '../log/pattern-set.ts';
import type { Scheduler } from '../scheduling/clock.ts';
import type { Task, Turns } from '../scheduling/task-scheduler.ts';
import { type Chunk, ChunkBuilder, type Gatherer } from './batch.ts';
import type { Outlet } from './sink.ts';

/**
 * Entries that wait for a round to end. From here on the feed waits for the round, so that there are
 * never more than these and what one turn's intake adds.
 */
export const COHORT_QUEUE_MAX = 1024;

/** The clock is read after this many writes (10 µs each, 50 for a whole chunk). */
const WRITES_PER_CLOCK = 16;

/** A connection whose subscriptions are live. */
export interface LiveConnection {
  readonly outlet: Outlet;
  /** The last sequence of this cohort's events that it was given. */
  liveSequence: number;
  /** Events written to it since it came. */
  delivered: number;
  /** Set where this connection's own deliveries are to be seen in traces. */
  readonly onWritten?: ((receipt: Receipt) => void) | undefined;
  /** Its socket takes no more: it goes on from this position by itself. It has left the cohort. */
  fallBehind(position: number): void;
}

export interface CohortContext {
  readonly scheduler: Scheduler;
  readonly counts: Counts;
  readonly gatherer: Gatherer;
  /** Wall clock, for the age of events. */
  readonly wallMs: () => number;
  readonly turns: Pick<Turns, 'add' | 'holdIntake' | 'releaseIntake'>;
  /** The last member has left. */
  readonly release: (cohort: Cohort) => void;
}

/**
 * Live connections of one transport with the same patterns. They receive the same bytes, so what
 * arrived since the last round is concatenated once and written to each of them.
 *
 * A round visits every member, over several turns where there are many. Entries leave the queue
 * when a round that began after them has ended: every member has then been given them.
 */
export class Cohort implements Task {
  readonly key: string;
  readonly patterns: PatternSet;
  readonly #encoding: EventEncoding;
  readonly #context: CohortContext;
  readonly #members = new Set<LiveConnection>();
  readonly #queue = new EntryQueue();
  #round: { readonly members: IterableIterator<LiveConnection>; readonly head: number } | undefined;
  /** The last answer of `#chunksAfter`: members visited one after the other mostly share it. */
  #shared: { after: number; head: number; chunks: readonly Chunk[] } | undefined;

  constructor(key: string, patterns: PatternSet, encoding: EventEncoding, context: CohortContext) {
    this.key = key;
    this.patterns = patterns;
    this.#encoding = encoding;
    this.#context = context;
  }

  get size(): number {
    return this.#members.size;
  }

  /** @param position the sequence up to which the connection has everything */
  join(connection: LiveConnection, position: number): void {
    connection.liveSequence = position;
    this.#members.add(connection);
  }

  leave(connection: LiveConnection): void {
    if (this.#members.delete(connection) && this.#members.size === 0) {
      this.#forget();
      this.#context.release(this);
    }
  }

  /** The position of a member that is not at the head of the log yet. */
  behindAt({ liveSequence }: LiveConnection): number | undefined {
    const { last } = this.#queue;
    if (!last || last.sequence <= liveSequence) return undefined;
    const next = this.#queue.at(this.#queue.indexAfter(liveSequence));
    return next && next.sequence - 1;
  }

  offer(entry: Entry): void {
    this.#queue.push(entry);
    entry.receipt?.taken();
    const { turns } = this.#context;
    if (this.#queue.length === COHORT_QUEUE_MAX) turns.holdIntake(this);
    turns.add(this);
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
      if (this.#context.scheduler.nowMs() >= deadlineMs) return true;
    }
    this.#endRound(this.#round.head);
    return this.#queue.length > 0;
  }

  #endRound(head: number): void {
    this.#round = undefined;
    this.#unshare();
    const { counts, wallMs } = this.#context;
    const nowMs = wallMs();
    while ((this.#queue.first?.sequence ?? Number.POSITIVE_INFINITY) <= head) {
      const entry = this.#queue.shift();
      entry?.receipt?.settled();
      if (entry) counts.deliveryLagMs.add(nowMs - entry.timeMs, this.#members.size);
    }
    if (this.#queue.length < COHORT_QUEUE_MAX) this.#context.turns.releaseIntake(this);
  }

  /** @returns the number of writes, at least one: a visit is work too */
  #deliver(connection: LiveConnection): number {
    const last = this.#queue.last;
    if (!last || last.sequence <= connection.liveSequence) return 1;
    if (this.#members.size === 1) return this.#deliverAlone(connection);
    const { counts } = this.#context;
    let writes = 0;
    for (const chunk of this.#chunksAfter(connection.liveSequence, last.sequence)) {
      if (!connection.outlet.writable) {
        this.leave(connection);
        connection.fallBehind(chunk.after);
        break;
      }
      writes++;
      connection.outlet.write(chunk.bytes);
      connection.liveSequence = chunk.through;
      connection.delivered += chunk.events;
      if (chunk.receipts) noteWritten(chunk, connection);
      counts.deliveries += chunk.events;
      counts.writeEvents.add(chunk.events);
    }
    return Math.max(1, writes);
  }

  /** Nobody shares the frames of an only member, so that they need not be kept. */
  #deliverAlone(connection: LiveConnection): number {
    const { counts, gatherer } = this.#context;
    const waiting = this.#queue.after(connection.liveSequence);
    let writes = 0;
    let told = 0;
    const complete = gatherer.write(waiting, this.#encoding, (bytes, { events, through }) => {
      if (!connection.outlet.writable) return 'full';
      const taken = connection.outlet.write(bytes);
      writes++;
      connection.liveSequence = through;
      connection.delivered += events;
      counts.deliveries += events;
      counts.writeEvents.add(events);
      for (const end = told + events; told < end; told++) {
        const receipt = waiting[told]?.receipt;
        if (!receipt) continue;
        receipt.written(1);
        connection.onWritten?.(receipt);
      }
      return taken ? 'reusable' : 'kept';
    });
    const next = waiting[told];
    if (!complete && next) {
      this.leave(connection);
      connection.fallBehind(next.sequence - 1);
    }
    return Math.max(1, writes);
  }

  #chunksAfter(after: number, head: number): readonly Chunk[] {
    const shared = this.#shared;
    const start = this.#queue.indexAfter(after);
    // Members with different positions share when the same entries are left for them.
    const first = (this.#queue.at(start)?.sequence ?? 0) - 1;
    if (shared && shared.after === first && shared.head === head) return shared.chunks;
    const builder = new ChunkBuilder(this.#encoding);
    for (let index = start; index < this.#queue.length; index++) {
      const entry = this.#queue.at(index);
      if (entry) builder.add(entry);
    }
    const chunks = builder.finish();
    this.#unshare();
    this.#shared = { after: first, head, chunks };
    return chunks;
  }

  /** What was shared is written to nobody more: its receipts are told. */
  #unshare(): void {
    const shared = this.#shared;
    this.#shared = undefined;
    if (!shared) return;
    for (const { receipts, written } of shared.chunks) {
      if (receipts && written > 0) for (const receipt of receipts) receipt.written(written);
    }
  }

  /** Drops what is queued: nobody of this cohort is left that lacks it. */
  #forget(): void {
    this.#unshare();
    for (let entry = this.#queue.shift(); entry; entry = this.#queue.shift()) {
      entry.receipt?.settled();
    }
    this.#context.turns.releaseIntake(this);
  }
}

/** Counts on the chunk, so that a write costs the same however many of its events are followed. */
function noteWritten(chunk: Chunk, { onWritten }: LiveConnection): void {
  chunk.written++;
  if (onWritten) for (const receipt of chunk.receipts ?? []) onWritten(receipt);
}
