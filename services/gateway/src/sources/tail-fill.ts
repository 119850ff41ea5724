import type { EventEntry } from '../log/event-entry.ts';
import type { EventLog } from '../log/event-log.ts';
import { KnownErasures } from '../log/known-erasures.ts';
import { PatternSet } from '../log/pattern-set.ts';
import type { Clock } from '../scheduling/clock.ts';
import type { StreamTier } from './cold-reads.ts';
import { erasureIn } from './decoding.ts';

/** Sequences of one block, which is read with one consumer where its events are small. */
const BLOCK_SEQUENCES = 8192;

/** Events that one step puts into the tail: less than two milliseconds. */
const STEP_EVENTS = 1024;

/** How long a start may wait for the fill before the gateway is ready. */
const READY_WAIT_MS = 5000;

/** The pause after a read that failed, and how many may fail one after the other. */
const RETRY_MS = 500;
const FAILURES_MAX = 20;

const ALL = new PatternSet(['>']);

export interface TailFillOptions {
  readonly log: EventLog;
  readonly stream: StreamTier;
  readonly clock: Clock;
}

/** Events of the sequences after one up to the tail's floor. */
interface Block {
  readonly after: number;
  readonly entries: readonly EventEntry[];
}

/**
 * Tail fill: reads what the stream holds before the first event of the feed into the tail of a gateway that has started,
 * from the newest to the oldest, until the tail is full. Without it each client of the gateway before would come back
 * below the tail, all at once.
 *
 * The feed goes on meanwhile: the head is where it would be without a fill, and the floor sinks with each block. It runs
 * once. A tail that begins anew later is not filled: what it held is of another log, or has left the stream.
 */
export class TailFill {
  readonly #options: TailFillOptions;
  #begunMs: number | undefined;
  #done = false;

  constructor(options: TailFillOptions) {
    this.#options = options;
  }

  /** Whether a start need no longer wait for it: it is done, or takes longer than a start may. */
  get settled(): boolean {
    if (this.#done) return true;
    const begunMs = this.#begunMs ?? Number.POSITIVE_INFINITY;
    return this.#options.clock.nowMs() - begunMs >= READY_WAIT_MS;
  }

  /** Called whenever the log has begun; only the first call has an effect. */
  begin(): void {
    if (this.#begunMs !== undefined) return;
    this.#begunMs = this.#options.clock.nowMs();
    void this.#fill();
  }

  async #fill(): Promise<void> {
    const { log, clock } = this.#options;
    const erased = new KnownErasures();
    log.tellErasures(erased);
    let failures = 0;
    for (let hasRoom = true; hasRoom && failures < FAILURES_MAX; ) {
      try {
        hasRoom = await this.#fillBlock(erased);
        failures = 0;
      } catch {
        failures++;
        await new Promise<void>((resolve) => clock.after(RETRY_MS, resolve));
      }
    }
    log.tellErasures(undefined);
    this.#done = true;
  }

  /** @returns whether there is more to fill */
  async #fillBlock(erased: KnownErasures): Promise<boolean> {
    const { log } = this.#options;
    const { epoch, tail } = log;
    const { floor } = tail;
    const block = await this.#readBlock(epoch, floor);
    if (!block || block.after === floor) return false;
    for (const entry of block.entries) {
      const erasure = erasureIn(entry);
      if (erasure) erased.add(erasure, entry.sequence);
    }
    let { entries } = block;
    for (let below = floor; below > block.after; ) {
      // The tail has begun anew, or the feed has filled it and raised the floor.
      if (log.epoch !== epoch || tail.floor !== below) return false;
      const start = Math.max(entries.length - STEP_EVENTS, 0);
      const after = entries[start - 1]?.sequence ?? block.after;
      // What is erased while the steps wait is known before the next one.
      const left = entries.slice(start).filter((entry) => !erased.cover(entry));
      if (!log.prependEvents(left, after)) return false;
      entries = entries.slice(0, start);
      below = after;
      await new Promise<void>((resolve) => this.#options.clock.soon(resolve));
    }
    return true;
  }

  /** @returns the block before the floor; `undefined` where the stream is no longer that of the log */
  async #readBlock(epoch: string, floor: number): Promise<Block | undefined> {
    const { stream } = this.#options;
    const before = await stream.bounds();
    const start = Math.max(floor - BLOCK_SEQUENCES, before.firstSequence - 1, 0);
    const entries: EventEntry[] = [];
    for (let after = Math.min(start, floor); after < floor; ) {
      const query = { epoch, patterns: ALL, after, through: floor, eventsMax: BLOCK_SEQUENCES };
      const slice = await stream.readSlice(query);
      for (const entry of slice.entries) entries.push(entry);
      after = slice.through;
    }
    const { epoch: now, firstSequence } = await stream.bounds();
    if (before.epoch !== epoch || now !== epoch) return undefined;
    // What left the stream while it was read may be missing without a sign, and that is the oldest part.
    const after = Math.min(Math.max(start, firstSequence - 1), floor);
    return { after, entries: entries.filter(({ sequence }) => sequence > after) };
  }
}
