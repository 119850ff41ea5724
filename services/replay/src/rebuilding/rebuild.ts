import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Feed, FeedOptions, LogRecord } from '@tidemark/nats';
import { decodeStored, type LogBounds, type SequenceRange } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { Archive } from '../archive/archive.ts';
import { COMPANIONS } from '../sqlite/database-file.ts';
import { type IndexedEvent, toIndexed } from '../sqlite/writer.ts';
import { ArchiveCopy } from './archive-copy.ts';
import { RestingScheduler } from './resting-scheduler.ts';

/** Events and bytes of JSON that are written at once. */
const BATCH_EVENTS_MAX = 50;
const BATCH_LENGTH_MAX = 64 * 1024;

/** The last events come from the old archive in the moment of the exchange: at most so many, so that the turn stays short. */
const EXCHANGE_EVENTS_MAX = 200;

/** Pause where another process has the archive open. */
const BUSY_MS = 500;

/** Reads the stream; see `Feed`. */
export type OpenFeed = (
  options: Required<
    Pick<FeedOptions, 'scheduler' | 'onRecord' | 'onErased' | 'onStart' | 'onOpen'>
  >,
) => Pick<Feed, 'start' | 'stop' | 'restart'>;

export interface RebuildOptions {
  readonly archive: Archive;
  readonly openFeed: OpenFeed;
  readonly logger: Logger;
  /** Aborted when the rebuild is to end without a result. */
  readonly signal: AbortSignal;
}

/** The name of the file in which a new archive is made. */
export function rebuildPath(path: string): string {
  return `${path}.rebuilding`;
}

/** Removes what a rebuild that was interrupted has left. */
export function removeRebuild(path: string): void {
  for (const suffix of ['', ...COMPANIONS]) rmSync(rebuildPath(path) + suffix, { force: true });
}

/**
 * Makes a new archive beside the present one and exchanges them. What the stream still holds is read from it, as by
 * the projector; what has left it is copied from the present archive. The present one is served and written meanwhile.
 *
 *     copying --at the stream's first event--> reading --at the archive's end--> exchanged
 *        ^                                        |
 *        +------- retention was faster -----------+
 */
export class Rebuild {
  readonly #options: RebuildOptions;
  readonly #archive: Archive;
  readonly #next: Archive;
  readonly #copy: ArchiveCopy;
  readonly #scheduler: RestingScheduler;
  readonly #epoch: string;
  /** Where the present archive begins. */
  readonly #first: number;
  readonly #reached: Promise<void>;
  #resolve: () => void = () => {};
  #reject: (reason: unknown) => void = () => {};
  #events: IndexedEvent[] = [];
  #length = 0;
  /** The last sequence that was received from the stream or copied, written or not. */
  #received: number;
  #readingAgain = false;
  /** How often retention has taken what was about to be read. */
  #overtaken = 0;
  /** The record of the last erasure whose progress was taken over. */
  #taken = 0;

  /** @throws the error of the file system or of SQLite */
  constructor(options: RebuildOptions) {
    const { archive, logger, signal } = options;
    const { bounds } = archive;
    if (!bounds) throw new Error('The archive belongs to no epoch yet.');
    this.#options = options;
    this.#archive = archive;
    this.#epoch = bounds.epoch;
    this.#first = bounds.firstSequence;
    removeRebuild(archive.path);
    this.#next = new Archive(rebuildPath(archive.path), logger);
    this.#next.begin(bounds, bounds.firstSequence);
    this.#received = bounds.firstSequence - 1;
    this.#copy = new ArchiveCopy(archive, this.#next);
    this.#scheduler = new RestingScheduler(signal, {
      onSlice: () => this.#endSlice(),
      onError: (error) => this.#reject(error),
    });
    this.#reached = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    // `run` waits for it later.
    this.#reached.catch(() => undefined);
    signal.addEventListener('abort', () => this.#reject(signal.reason), { once: true });
  }

  /** How far it has come, in sequences of the log. */
  get progress(): { readonly done: number; readonly total: number } {
    const first = this.#first - 1;
    const end = this.#end;
    return { done: Math.min(this.#received, end) - first, total: end - first };
  }

  /** Events of the present archive whose content could not be read. */
  get unreadable(): number {
    return this.#copy.unreadable;
  }

  /**
   * Makes the new archive and puts it in the place of the present one.
   *
   * @throws the error of SQLite, such as on a full disk; the signal's reason. The present archive then goes on
   */
  async run(): Promise<void> {
    const feed = this.#options.openFeed({
      scheduler: this.#scheduler,
      onStart: (stream) => this.#begin(stream),
      onOpen: (waiting) => this.#noteWaiting(waiting),
      onRecord: (record) => this.#receive(record, () => feed.restart('retention was faster')),
      onErased: (hole) => this.#skip(hole),
    });
    try {
      feed.start();
      await this.#reached;
      feed.stop();
      await this.#finish();
    } finally {
      feed.stop();
      // Nothing happens where it has been exchanged.
      if (this.#next.open) this.#next.close();
      removeRebuild(this.#archive.path);
    }
  }

  get #end(): number {
    return this.#archive.bounds?.lastSequence ?? 0;
  }

  /**
   * Copies what the stream does not hold, and more of it each time that retention was faster.
   *
   * @returns the sequence after which to read
   */
  async #begin(stream: LogBounds): Promise<number> {
    this.#clear();
    if (stream.epoch !== this.#epoch) throw this.#fail('The stream is not that of the archive.');
    const { firstSequence, lastSequence } = stream;
    const margin = (lastSequence - firstSequence) * (1 - 0.5 ** this.#overtaken);
    await this.#copyThrough(firstSequence - 1 + Math.floor(margin));
    return this.#received;
  }

  /** Where the stream has nothing more, nothing would come: the rest is in the archive alone. */
  #noteWaiting(waiting: number): void {
    if (waiting > 0) return;
    this.#copyThrough(this.#end)
      .then(() => this.#endSlice())
      .catch(this.#reject);
  }

  async #copyThrough(sequence: number): Promise<void> {
    await this.#scheduler.repeat(() => {
      this.#requireSameLog();
      const more = this.#copy.step(Math.min(sequence, this.#end));
      this.#received = this.#next.bounds?.lastSequence ?? this.#received;
      return more;
    });
  }

  #receive(record: LogRecord, readAgain: () => void): void {
    const { sequence, timeMs } = record;
    if (sequence <= this.#received || this.#readingAgain) return;
    if (sequence > this.#received + 1) {
      // Retention took what was about to be read. The archive has it.
      this.#readingAgain = true;
      this.#overtaken++;
      readAgain();
      return;
    }
    this.#received = sequence;
    const stored = decodeStored(record);
    if (!stored.valid || this.#received > this.#end) return;
    const json = Buffer.from(stored.json).toString();
    this.#length += json.length;
    this.#events.push(toIndexed({ sequence, timeMs, json }));
    if (this.#events.length >= BATCH_EVENTS_MAX || this.#length >= BATCH_LENGTH_MAX) this.#write();
  }

  #skip({ from, to }: SequenceRange): void {
    if (from === this.#received + 1 && !this.#readingAgain) this.#received = to;
  }

  #endSlice(): void {
    this.#write();
    if (this.#end - this.#received <= EXCHANGE_EVENTS_MAX) this.#resolve();
  }

  /** Writes what has been received, and nothing beyond the end of the present archive. */
  #write(): void {
    this.#requireSameLog();
    const through = Math.min(this.#received, this.#end);
    if (through > (this.#next.bounds?.lastSequence ?? 0)) {
      this.#next.appendEvents(this.#events, [], through);
    }
    this.#events = [];
    this.#length = 0;
  }

  #clear(): void {
    this.#events = [];
    this.#length = 0;
    this.#readingAgain = false;
    this.#received = this.#next.bounds?.lastSequence ?? 0;
  }

  async #finish(): Promise<void> {
    const { signal, logger } = this.#options;
    // What is erased may have come from the stream once more. There it is not deleted anew.
    await this.#scheduler.repeat(() => this.#eraseStep());
    await this.#scheduler.repeat(() => this.#takeProgress());
    while (!(await this.#exchange())) {
      logger.info('the archive is open elsewhere, such as in a backup: the rebuild waits');
      await sleep(BUSY_MS, undefined, { signal });
      await this.#copyThrough(this.#end);
    }
    this.#received = this.#end;
  }

  /** @returns whether the new archive is in the place of the present one */
  #exchange(): Promise<boolean> {
    return this.#archive.checkpoints.whileClosed(() => {
      this.#options.signal.throwIfAborted();
      this.#requireSameLog();
      // From here on everything happens in one turn. The records that are copied in it come after those before.
      this.#taken = Math.min(this.#taken, this.#next.bounds?.lastSequence ?? 0);
      while (this.#copy.step(this.#end));
      while (this.#eraseStep());
      while (this.#takeProgress());
      this.#next.erasures.takeNotices(this.#archive.erasures);
      return this.#archive.adopt(this.#next);
    });
  }

  #eraseStep(): boolean {
    const erasure = this.#next.erasures.firstIn('archive');
    if (erasure) this.#next.eraseStep(erasure);
    return erasure !== undefined;
  }

  #takeProgress(): boolean {
    const last = this.#next.erasures.takeProgress(this.#archive.erasures, this.#taken);
    this.#taken = last ?? this.#taken;
    return last !== undefined;
  }

  #requireSameLog(): void {
    const { open, bounds, truncating } = this.#archive;
    if (open && bounds?.epoch === this.#epoch && !truncating) return;
    throw this.#fail('The log has changed meanwhile.');
  }

  #fail(message: string): Error {
    const error = new Error(message);
    this.#reject(error);
    return error;
  }
}
