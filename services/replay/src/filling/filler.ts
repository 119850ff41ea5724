import { setTimeout as sleep } from 'node:timers/promises';
import { type ArchiveClient, type ArchiveDirectory, pause } from '@tidemark/nats';
import { type SequenceRange, TidemarkError } from '@tidemark/protocol';
import type { Logger, Metrics } from '@tidemark/telemetry';
import type { Archive } from '../archive/archive.ts';
import type { ArchiveStore } from '../archive/archive-store.ts';
import { toIndexed } from '../sqlite/writer.ts';

/** One step reads and writes at most this much, which takes some 10 ms on either side. */
const STEP_EVENTS_MAX = 500;
const STEP_BYTES_MAX = 256 * 1024;

/** Pause where there is nothing to fill, or nobody to fill from. */
const IDLE_MS = 250;
/** Pause after a step that failed, such as on a full disk. */
const FAILED_MS = 2000;

/** While the archive is further behind the stream than this, a step waits for `BEHIND_MS`. */
const BEHIND_EVENTS = 1000;
const BEHIND_MS = 500;

export interface FillerOptions {
  readonly store: ArchiveStore;
  /** The archives of the other replay services. */
  readonly directory: ArchiveDirectory;
  readonly client: ArchiveClient;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Events that the stream has and the archive lacks at its end. */
  readonly lag: () => number;
  /** Whether the archive has once reached the stream's end, and so knows what it lacks. */
  readonly caughtUp: () => boolean;
}

/** A part of a missing range, and the archive that lacks it. */
interface Wanted {
  readonly archive: Archive;
  readonly epoch: string;
  readonly part: SequenceRange;
}

/**
 * Fills the ranges that the archive lacks from the archives of other replay services, which may have
 * begun earlier or have run while this one did not. So does a new instance get what has left the stream.
 *
 * It works in small steps, and rests after each for as long as the step took. The projector and requests
 * go first.
 *
 *     idle --another archive holds what is missing--> filling --nothing is left--> idle
 *
 *     any --stop--> stopped
 */
export class Filler {
  readonly #options: FillerOptions;
  readonly #stopping = new AbortController();
  readonly #events;
  #complete = false;
  #filling = false;

  constructor(options: FillerOptions) {
    this.#options = options;
    this.#events = options.metrics.counter(
      'archive_filled_events_total',
      'Events that came from the archive of another replay service.',
    );
  }

  /** Whether the archive has once had everything that the other archives have. */
  get complete(): boolean {
    return this.#complete;
  }

  /** Begins to look for what is missing, now and later. */
  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopping.abort();
  }

  /**
   * Whether a range that this archive lacks is, or may be, in another one.
   *
   * @param range all of it is missing here
   */
  isElsewhere(epoch: string, range: SequenceRange): boolean {
    const { directory } = this.#options;
    return !directory.settled || directory.mayHold(epoch, range);
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const startMs = performance.now();
      const waitMs = await this.#step()
        .then((more) => (more ? performance.now() - startMs : IDLE_MS))
        .catch((error) => this.#fail(error));
      await pause(waitMs, signal).catch(() => undefined);
    }
  }

  /** @returns whether there may be more to fill */
  async #step(): Promise<boolean> {
    const { lag, client } = this.#options;
    const wanted = this.#findWanted();
    this.#note(wanted);
    if (!wanted) return false;
    if (lag() > BEHIND_EVENTS) await sleep(BEHIND_MS);
    const { archive, epoch, part } = wanted;
    const { page } = await client.readPage(
      {
        epoch,
        patterns: ['>'],
        after: part.from - 1,
        through: part.to,
        eventsMax: STEP_EVENTS_MAX,
        bytesMax: STEP_BYTES_MAX,
      },
      ({ sequence, timeMs }, json) =>
        toIndexed({ sequence, timeMs, json: Buffer.from(json).toString() }),
    );
    if (!page || this.#stopping.signal.aborted) return false;
    const [hole] = page.missing;
    const to = Math.min(page.through, (hole?.from ?? Number.POSITIVE_INFINITY) - 1, part.to);
    const events = page.events.filter(({ sequence }) => sequence <= to);
    // The stream may have been replaced, or have lost its end, while the page was on its way.
    if (!archive.open || archive.bounds?.epoch !== epoch) return false;
    if (!archive.fillPart({ from: part.from, to }, events)) return false;
    this.#events.inc(events.length);
    return true;
  }

  #findWanted(): Wanted | undefined {
    const { store, directory, caughtUp } = this.#options;
    const { archive } = store;
    const bounds = archive.open ? archive.bounds : undefined;
    if (!bounds) return undefined;
    const holes = archive.missingRanges({ after: 0, through: bounds.lastSequence });
    for (const hole of holes) {
      const part = directory.firstHeld(bounds.epoch, hole);
      if (part) return { archive, epoch: bounds.epoch, part };
    }
    if (caughtUp() && (holes.length === 0 || directory.settled)) this.#complete = true;
    return undefined;
  }

  #note(wanted: Wanted | undefined): void {
    if (this.#filling === (wanted !== undefined)) return;
    this.#filling = wanted !== undefined;
    const { logger } = this.#options;
    if (wanted) logger.info(wanted.part, 'filling the archive from another one');
    else logger.info('the archive has what the other archives have');
  }

  /** @returns how long to wait */
  #fail(error: unknown): number {
    // The other archive went away, or no longer has the part.
    if (error instanceof TidemarkError && error.code === 'unavailable') return IDLE_MS;
    this.#options.logger.error({ err: error, retryMs: FAILED_MS }, 'the archive cannot be filled');
    return FAILED_MS;
  }
}
