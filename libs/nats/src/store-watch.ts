import type { Logger } from '@tidemark/telemetry';
import { type AppendClock, PROCESS_CLOCK } from './append-clock.ts';
import type { NatsLink } from './link.ts';
import type { Refusal } from './refusals.ts';
import { readStateWithin } from './state-within.ts';

/** Time between two looks at the stream while it stores nothing, and the time-out of one. */
const LOOK_MS = 1000;

/** How long the appends have to be free of refusals before the stream counts as storing again. */
const QUIET_MS = 1000;

/** How long a refusal is believed where no further append shows whether it still holds. */
const BELIEVED_MS = 30_000;

/**
 * Why the stream stores nothing:
 *
 * - `full`: NATS says that it has no more space
 * - `stuck`: the stream answers questions and acknowledges no append. nats-server 2.15 does so after a
 *   disk was full, until it is restarted
 * - `offline`: no server leads the stream, or none answers for it
 */
export type StoreFault = 'full' | 'stuck' | 'offline';

/** What a store watch looks at, and what ends it. */
export interface StoreWatchOptions {
  readonly link: NatsLink;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  /** The process's own if absent. */
  readonly clock?: AppendClock;
}

interface Look {
  readonly lastSequence: number;
  readonly atMs: number;
}

/**
 * Tells from the answers to appends whether the stream stores events. The log has one line when a fault
 * begins and one when it has ended, however many appends it refuses.
 *
 *     storing --refused--> full, stuck or offline --an append is stored, or the stream goes on--> storing
 */
export class StoreWatch {
  readonly #options: StoreWatchOptions;
  readonly #clock: AppendClock;
  #fault: StoreFault | undefined;
  #beganMs = 0;
  #refusedMs = Number.NEGATIVE_INFINITY;
  #storedMs = Number.NEGATIVE_INFINITY;
  /** What the stream was when an append first had no answer, or when the fault began. */
  #seen: Look | undefined;
  #looking = false;
  #following = false;

  constructor(options: StoreWatchOptions) {
    this.#options = options;
    this.#clock = options.clock ?? PROCESS_CLOCK;
    // A server that was started again has forgotten that its disk was full.
    options.link.onConnect(() => {
      this.#seen = undefined;
      if (this.#fault === 'stuck') this.#end();
    });
  }

  get fault(): StoreFault | undefined {
    return this.#fault;
  }

  /** 1 for the fault that lasts, 0 for the others. */
  get faults(): Readonly<Record<StoreFault, number>> {
    const of = (fault: StoreFault) => Number(this.#fault === fault);
    return { full: of('full'), stuck: of('stuck'), offline: of('offline') };
  }

  /**
   * Whether appends may be sent to this process. 30 s after the last refusal the answer is `true` even if
   * the fault lasts: a service that gets no appends could never find out that it has ended.
   */
  get storing(): boolean {
    return this.#fault === undefined || this.#clock.nowMs() - this.#refusedMs > BELIEVED_MS;
  }

  /** Notes that the stream has stored an event. */
  noteStored(): void {
    this.#storedMs = this.#clock.nowMs();
    if (this.#fault === undefined) this.#seen = undefined;
  }

  /**
   * Notes that an append failed. One that was in process for all of its time says as little as silence.
   *
   * @param sentMs when it was sent first, on the same clock
   */
  noteRefused(refusal: Refusal, sentMs: number): void {
    if (refusal === 'full' || refusal === 'offline') this.#begin(refusal);
    else if (refusal !== 'condition' && this.#storedMs < sentMs) void this.#suspect(sentMs);
  }

  /**
   * An append had no answer. If no server leads the stream, that is why. If the stream answers questions,
   * and has stored nothing for as long as an append waited, then it is stuck.
   */
  async #suspect(sentMs: number): Promise<void> {
    if (this.#fault !== undefined) {
      this.#refusedMs = this.#clock.nowMs();
      return;
    }
    const { link } = this.#options;
    if (this.#looking || !link.connected) return;
    this.#looking = true;
    const look = await this.#look();
    this.#looking = false;
    if (this.#storedMs >= sentMs || !link.connected) return;
    if (!look) this.#begin('offline');
    else if (this.#seen?.lastSequence !== look.lastSequence) this.#seen = look;
    else if (this.#seen.atMs <= sentMs) this.#begin('stuck');
  }

  #begin(fault: StoreFault): void {
    this.#refusedMs = this.#clock.nowMs();
    if (this.#fault !== undefined) {
      // A server that is full gives up its lead, so `offline` often follows and says less.
      if (this.#fault !== 'full') this.#fault = fault;
      return;
    }
    this.#fault = fault;
    this.#beganMs = this.#refusedMs;
    if (fault !== 'stuck') this.#seen = undefined;
    this.#options.logger.error({ fault }, 'the stream stores no events');
    void this.#follow();
  }

  #end(): void {
    const fault = this.#fault;
    const seconds = Math.round((this.#clock.nowMs() - this.#beganMs) / 1000);
    this.#fault = undefined;
    this.#seen = undefined;
    this.#options.logger.info({ fault, seconds }, 'the stream stores events again');
  }

  /** Looks at the stream until the fault has ended. */
  async #follow(): Promise<void> {
    if (this.#following) return;
    this.#following = true;
    const { signal } = this.#options;
    while (this.#fault !== undefined && !signal.aborted) {
      await this.#clock.pause(LOOK_MS, signal).catch(() => undefined);
      const look = await this.#look();
      if (this.#fault !== undefined && !signal.aborted && this.#hasEnded(look)) this.#end();
    }
    this.#following = false;
  }

  #hasEnded(look: Look | undefined): boolean {
    if (this.#clock.nowMs() - this.#refusedMs < QUIET_MS) return false;
    if (this.#storedMs > this.#refusedMs) return true;
    if (this.#fault === 'offline') return look !== undefined;
    this.#seen ??= look;
    return look !== undefined && look.lastSequence > (this.#seen?.lastSequence ?? 0);
  }

  /** @returns `undefined` where nobody that may be believed answers for the stream */
  async #look(): Promise<Look | undefined> {
    const { link } = this.#options;
    if (!link.connected) return undefined;
    try {
      const { lastSequence } = await readStateWithin(link, LOOK_MS);
      return { lastSequence, atMs: this.#clock.nowMs() };
    } catch {
      return undefined;
    }
  }
}
