import type { Principal } from '@tidemark/auth';
import { Permits } from '@tidemark/fairness';
import type { Budget, Confirm, Limits } from '@tidemark/http';
import { type SequenceRange, TypeFilter } from '@tidemark/protocol';
import type { Metrics } from '@tidemark/telemetry';
import type { Criteria } from '../selection/filters.ts';
import type { IndexedEvent } from '../sqlite/writer.ts';
import { WaitTree } from './wait-tree.ts';

/** Most requests that read at one time after their wait. One event may end many waits. */
const READS_MAX = 16;

/** How often the tokens of those that wait are looked at. */
const SWEEP_MS = 1000;

/** Why a wait went on no longer. */
export type WaitEnd = 'found' | 'over' | 'stopping';

export interface WaitsOptions {
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly confirm: Confirm;
  /** Most requests of one user that wait at once. */
  readonly waitsPerUserMax: number;
  /** Most requests of all users that wait at once. */
  readonly waitsMax: number;
  /** Aborted when the service stops: those that wait are answered. */
  readonly signal: AbortSignal;
}

/** Who waits, for what, and for how long. */
export interface Waiting {
  readonly principal: Principal;
  readonly criteria: Criteria;
  readonly waitMs: number;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/**
 * Waits: the requests that wait for an event that matches (PROTOCOL.md section 11.1). A batch of the projector is
 * looked up in one tree of all their patterns, so that an event costs the same however many wait.
 */
export class Waits {
  /** What woken requests read with. */
  readonly reads = new Permits({ max: READS_MAX, nowMs: () => performance.now() });
  readonly #options: WaitsOptions;
  readonly #places: Budget;
  readonly #ended;
  readonly #tree = new WaitTree<Wait>();
  readonly #all = new Set<Wait>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: WaitsOptions) {
    this.#options = options;
    const { limits, metrics, waitsMax, waitsPerUserMax, signal } = options;
    this.#places = limits.budget('waits', {
      max: waitsMax,
      perUser: { limit: 'waits_per_user', max: waitsPerUserMax },
      of: 'history requests that wait',
    });
    this.#ended = metrics.counter('history_waits_total', 'Ended waits of history requests.', [
      'end',
    ]);
    metrics.gauge('history_waits', 'History requests that wait.', () => this.#all.size);
    signal.addEventListener('abort', () => this.#endAll('stopping'));
  }

  /**
   * Begins a wait, which notices all that is written from now on. The caller ends it.
   *
   * @throws TidemarkError `limit_exceeded`
   */
  begin(waiting: Waiting): Wait {
    const place = this.#places.open(waiting.principal.subject);
    place.take(1);
    const { patterns } = waiting.criteria;
    const wait = new Wait(waiting, (end) => {
      place.release();
      for (const pattern of patterns) this.#tree.delete(pattern, wait);
      this.#all.delete(wait);
      if (this.#all.size === 0) this.#stopSweep();
      this.#ended.inc({ end });
    });
    for (const pattern of patterns) this.#tree.add(pattern, wait);
    this.#all.add(wait);
    this.#sweep ??= setInterval(() => this.#confirmAll(), SWEEP_MS).unref();
    if (this.#options.signal.aborted) wait.note('stopping');
    return wait;
  }

  /** The archive has new events, or a range that it will not get. */
  noteWritten(events: readonly IndexedEvent[], missing: readonly SequenceRange[]): void {
    if (this.#all.size === 0) return;
    if (missing.length > 0) this.#endAll('found');
    const found = new Set<Wait>();
    for (const event of events) {
      this.#tree.collect(event.topic, found);
      for (const wait of found) if (wait.accepts(event)) wait.note('found');
      found.clear();
    }
  }

  /** The log or the archive has changed: those that wait must look again. */
  noteChanged(): void {
    this.#endAll('found');
  }

  #endAll(end: WaitEnd): void {
    for (const wait of this.#all) wait.note(end);
  }

  #confirmAll(): void {
    for (const wait of this.#all) {
      try {
        this.#options.confirm(wait.principal);
      } catch (error) {
        wait.refuse(error);
      }
    }
  }

  #stopSweep(): void {
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }
}

/** One request that waits. */
export class Wait {
  readonly principal: Principal;
  readonly #types: TypeFilter | undefined;
  readonly #source: string | undefined;
  readonly #release: (end: string) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal;
  readonly #leave = () => this.refuse(this.#signal.reason);
  #end: WaitEnd | undefined;
  #refusal: { readonly error: unknown } | undefined;
  #wake: () => void = () => {};
  #released = false;

  constructor(waiting: Waiting, release: (end: string) => void) {
    const { principal, criteria, waitMs, signal } = waiting;
    this.principal = principal;
    this.#types = criteria.types && new TypeFilter(criteria.types);
    this.#source = criteria.source;
    this.#release = release;
    this.#signal = signal;
    this.#timer = setTimeout(() => this.note('over'), waitMs);
    signal.addEventListener('abort', this.#leave, { once: true });
  }

  /** Whether type and source of an event, whose topic matches, are wanted. */
  accepts({ type, source }: Pick<IndexedEvent, 'type' | 'source'>): boolean {
    if (this.#source !== undefined && source !== this.#source) return false;
    return this.#types?.accepts(type) ?? true;
  }

  /** Ends the pause. What is final stays so. */
  note(end: WaitEnd): void {
    if (this.#end !== undefined && this.#end !== 'found') return;
    this.#end = end;
    this.#wake();
  }

  refuse(error: unknown): void {
    this.#refusal ??= { error };
    this.#wake();
  }

  /**
   * Resolves when there is something to look for, or when the wait is over. After `found` it may be called again.
   *
   * @throws TidemarkError when the token has expired or was revoked; the signal's reason when the client is gone
   */
  async next(): Promise<WaitEnd> {
    while (this.#end === undefined && !this.#refusal) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#refusal) throw this.#refusal.error;
    const end = this.#end ?? 'found';
    if (end === 'found') this.#end = undefined;
    return end;
  }

  /** Gives its place back. Further calls do nothing. */
  end(how: string): void {
    if (this.#released) return;
    this.#released = true;
    clearTimeout(this.#timer);
    this.#signal.removeEventListener('abort', this.#leave);
    this.#release(how);
  }
}
