import type { GapReason, Start } from '@tidemark/protocol';
import type { Counts } from '../counters/counters.ts';
import { Gatherer } from '../fan-out/batch.ts';
import { Hub } from '../fan-out/hub.ts';
import type { Scheduler } from '../scheduling/clock.ts';
import { type Task, Turns } from '../scheduling/task-scheduler.ts';
import {
  type ArchiveTier,
  type Bounds,
  ColdReads,
  type StreamTier,
} from '../sources/cold-reads.ts';
import { commonEnd, type StoredMs } from '../sources/divergence.ts';
import { type ResolvedStart, Starts } from '../sources/start-resolver.ts';
import { Entry, type Receipt } from './event-entry.ts';
import { Slab } from './slab.ts';
import { Tail, type TailLimits } from './tail.ts';

/** The log is not the one it was: positions in it are cut to `sequence`, or lose their meaning. */
export interface LogChange {
  readonly sequence: number;
  readonly reason: Exclude<GapReason, 'expired'>;
}

/** Who holds positions in the log. */
export interface LogReader {
  /**
   * Takes its positions out, because the tail is about to begin anew. What is returned puts them
   * back afterwards; it is given the change where the log itself has become another one.
   */
  suspend(): (change?: LogChange) => void;
}

export interface LogOptions {
  readonly stream: StreamTier;
  readonly archive: ArchiveTier;
  readonly scheduler: Scheduler;
  readonly counts: Counts;
  readonly tail: TailLimits;
  readonly coldReadsMax: number;
  readonly coldWaitMs: number;
  /** The system's clock where absent; it only measures. */
  readonly wallMs?: () => number;
}

/** An event of the feed. */
export interface FeedEvent {
  readonly sequence: number;
  readonly topic: string;
  readonly timeMs: number;
  readonly json: Uint8Array;
}

/**
 * One stream as a gateway sees it: its incarnation, its tail, who is live on it, and the way to
 * what is older. Nothing in here is global, so that a process can hold several.
 *
 *     empty --begin()--> following --begin() after each loss of the feed--> following
 */
export class Log {
  readonly tail: Tail;
  readonly hub: Hub;
  readonly turns: Turns;
  readonly cold: ColdReads;
  readonly gatherer = new Gatherer();
  readonly counts: Counts;
  readonly scheduler: Scheduler;
  readonly #starts: Starts;
  readonly #slab = new Slab();
  readonly #readers = new Set<LogReader>();
  readonly #awaitingHead = new Set<Task>();
  #epoch = '';
  #changes = 0;
  /** The furthest place at which a subscription began; the tail may not be there yet. */
  #furthest = 0;

  constructor(options: LogOptions) {
    const { scheduler, counts, stream, archive, wallMs = Date.now } = options;
    this.scheduler = scheduler;
    this.counts = counts;
    this.turns = new Turns(scheduler);
    this.tail = new Tail(0, options.tail);
    const { turns, gatherer } = this;
    const { topics } = this.tail;
    this.hub = new Hub({ topics, scheduler, counts, turns, gatherer, wallMs });
    this.#starts = new Starts({ stream, archive });
    this.cold = new ColdReads({
      stream,
      archive,
      scheduler,
      counts,
      readsMax: options.coldReadsMax,
      waitMs: options.coldWaitMs,
    });
  }

  /** The stream's incarnation; empty until the feed has begun. */
  get epoch(): string {
    return this.#epoch;
  }

  get begun(): boolean {
    return this.#epoch !== '';
  }

  /** How often it has become another log. What was found out before a change means nothing after. */
  get changes(): number {
    return this.#changes;
  }

  join(reader: LogReader): void {
    this.#readers.add(reader);
  }

  leave(reader: LogReader): void {
    this.#readers.delete(reader);
  }

  /** Runs the task when the head has moved: for positions that this gateway has not reached yet. */
  awaitHead(task: Task): void {
    this.#awaitingHead.add(task);
  }

  /** A subscription begins here. */
  claim(sequence: number): void {
    this.#furthest = Math.max(this.#furthest, sequence);
  }

  resolve(start: Start): ResolvedStart | Promise<ResolvedStart> {
    return this.#starts.resolve(start, this);
  }

  /**
   * The feed starts, or starts again, on a stream in this state.
   *
   * @returns the sequence after which the feed has to read
   */
  async start(stream: Bounds, storedMs: StoredMs): Promise<number> {
    const isSameStream = this.#epoch === stream.epoch;
    return this.begin(
      stream,
      isSameStream ? await commonEnd(this.tail, stream, storedMs) : undefined,
    );
  }

  /** @param common up to where the stream is what it was, if it is not all of it */
  begin(stream: Bounds, common = stream.lastSequence): number {
    const { tail } = this;
    const end = Math.min(stream.lastSequence, common);
    if (this.#epoch === '') {
      this.#epoch = stream.epoch;
      tail.reset(stream.lastSequence);
    } else if (this.#epoch !== stream.epoch) {
      // The archive may hold what the new stream has dropped already.
      const change = { sequence: 0, reason: 'epoch' } as const;
      this.#restart(stream.epoch, change, stream.firstSequence - 1);
    } else if (end < Math.max(tail.head, this.#furthest)) {
      this.#restart(stream.epoch, { sequence: end, reason: 'future' });
    } else if (tail.head + 1 < stream.firstSequence) {
      // Retention overtook this gateway while it was away; what it missed is in the archive.
      this.#restart(stream.epoch, undefined, stream.firstSequence - 1);
    }
    return tail.head;
  }

  /** The next event of the feed. */
  append({ sequence, topic, timeMs, json }: FeedEvent, receipt?: Receipt): void {
    this.#follow(sequence);
    const position = { epoch: this.#epoch, sequence };
    const entry = new Entry(position, { topic, timeMs, json: this.#slab.keep(json) }, receipt);
    this.counts.feedEvents++;
    this.hub.offer(entry, this.tail.push(entry));
    this.#headMoved();
  }

  /** A message of the feed that is no valid event: positions move past it. */
  skip(sequence: number): void {
    this.#follow(sequence);
    this.counts.feedInvalid++;
    this.tail.skip(sequence);
    this.#headMoved();
  }

  /**
   * Nothing is deleted from the middle of the stream, so a jump means that retention was faster than
   * the feed. Everybody then goes on from where they are, by way of the archive.
   */
  #follow(sequence: number): void {
    if (sequence > this.tail.head + 1) this.#restart(this.#epoch, undefined, sequence - 1);
  }

  #headMoved(): void {
    if (this.#awaitingHead.size === 0) return;
    for (const task of this.#awaitingHead) this.turns.add(task);
    this.#awaitingHead.clear();
  }

  #restart(epoch: string, change: LogChange | undefined, position = change?.sequence ?? 0): void {
    const resume = [...this.#readers].map((reader) => reader.suspend());
    this.#epoch = epoch;
    if (change) {
      this.#changes++;
      this.#furthest = 0;
    }
    this.tail.reset(position);
    this.cold.forget();
    for (const goOn of resume) goOn(change);
  }
}
