import { setTimeout as pause } from 'node:timers/promises';
import type { Logger } from '@tidemark/telemetry';
import type { Backlog, OutboxStore } from '../outbox/store.ts';
import { Backoff } from './backoff.ts';
import { type RoundOptions, runRound } from './round.ts';
import type { Waits } from './waits.ts';

/** How often a relay without the lock asks for it. */
const LOCK_RETRY_MS = 1000;

/** How often the backlog is counted. */
const BACKLOG_MS = 5000;

/** What a relay needs. */
export interface RelayOptions extends Omit<RoundOptions, 'store' | 'waits'> {
  readonly openStore: () => Promise<OutboxStore>;
  readonly waits: Waits;
  readonly logger: Logger;
  readonly pollMs: number;
  readonly retryMsMax: number;
  /** Ends the work after the request that is under way. */
  readonly signal: AbortSignal;
}

const NOTHING: Backlog = { waiting: 0, failed: 0, ageMs: 0 };

/**
 * The work of a relay, until its signal is aborted. Of several relays for one outbox one works, and the others wait for
 * its lock. Whatever fails, it waits, says so once, and goes on.
 *
 *     opening ── store open ──> waiting for the lock ── lock taken ──> working
 *        ^──────────── the database fails, or the lock is lost ───────────┘
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #backoff: Backoff;
  #store: OutboxStore | undefined;
  #backlog = NOTHING;

  constructor(options: RelayOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.retryMsMax);
  }

  /** Whether it works, because it has the lock. */
  get holdsLock(): boolean {
    return this.#store?.holdsLock === true;
  }

  /** Whether the database is there. */
  get connected(): boolean {
    return this.#store !== undefined;
  }

  /** As it was at most some seconds ago; nothing while another relay works. */
  get backlog(): Backlog {
    return this.holdsLock ? this.#backlog : NOTHING;
  }

  async run(): Promise<void> {
    const { openStore, waits, logger, signal, retryMsMax } = this.#options;
    const backoff = new Backoff(retryMsMax);
    while (!signal.aborted) {
      try {
        const store = await openStore();
        this.#store = store;
        await this.#work(store, () => {
          waits.end('database');
          backoff.reset();
        });
      } catch (error) {
        waits.begin('database', reasonOf(error));
        logger.debug({ err: error }, 'the database failed');
      } finally {
        await this.#store?.close().catch(() => {});
        this.#store = undefined;
      }
      await this.#pause(backoff.nextMs());
    }
  }

  async #work(store: OutboxStore, onSuccess: () => void): Promise<void> {
    const { logger, signal } = this.#options;
    if (!(await this.#waitForLock(store, onSuccess))) return;
    logger.info('this relay has the lock, and works');
    const counting = setInterval(() => void this.#count(store), BACKLOG_MS);
    try {
      await this.#count(store);
      while (!signal.aborted && store.holdsLock) {
        await this.#runRound(store);
        onSuccess();
      }
    } finally {
      clearInterval(counting);
    }
    if (!signal.aborted) logger.warn('this relay has lost the lock');
  }

  async #waitForLock(store: OutboxStore, onSuccess: () => void): Promise<boolean> {
    const { logger, signal } = this.#options;
    for (let told = false; !signal.aborted; told = true) {
      if (await store.takeLock()) return true;
      if (!told) logger.info('another relay has the lock; this one waits');
      onSuccess();
      await this.#pause(LOCK_RETRY_MS);
    }
    return false;
  }

  async #runRound(store: OutboxStore): Promise<void> {
    const { held, waits, pollMs, signal } = this.#options;
    const round = await runRound({ ...this.#options, store });
    if (held.size === 0) {
      waits.end('topics');
      waits.end('lookups');
    }
    if (round.end === 'wait') {
      waits.begin('ingest', round.reason);
      return this.#pause(Math.max(round.retryAfterMs, this.#backoff.nextMs()));
    }
    if (round.end === 'done') {
      this.#backoff.reset();
      waits.end('ingest');
    }
    // The database may have become slow, and everything would begin anew at once.
    if (round.end === 'interrupted') return this.#pause(this.#backoff.nextMs());
    if (round.end === 'idle') {
      await store.waitForRows(Math.min(pollMs, held.soonestMs()), signal);
    }
  }

  async #count(store: OutboxStore): Promise<void> {
    try {
      this.#backlog = await store.readBacklog();
    } catch (error) {
      this.#options.logger.debug({ err: error }, 'the backlog was not counted');
    }
  }

  async #pause(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#options.signal }).catch(() => {});
  }
}

function reasonOf(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code ? `${code}: ${message}` : String(message ?? error);
}
