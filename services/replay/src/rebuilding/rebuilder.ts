import { statfsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { type RebuildStatus, TidemarkError } from '@tidemark/protocol';
import type { Logger, Metrics } from '@tidemark/telemetry';
import type { ArchiveStore } from '../archive/archive-store.ts';
import { type OpenFeed, Rebuild, removeRebuild } from './rebuild.ts';

/** Room that the disk needs for a rebuild, as a part of the present archive. */
const ROOM_PART = 1.1;

/** How often the log tells how far a rebuild has come. */
const LOG_MS = 10_000;

export interface RebuilderOptions {
  readonly store: ArchiveStore;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly openFeed: OpenFeed;
  /** Called when the archive has another file. */
  readonly onExchanged: () => void;
  /** Bytes that are free beside a file; those of its disk if absent. */
  readonly freeBytes?: (path: string) => number;
}

interface Underway {
  readonly rebuild: Rebuild;
  readonly cancelling: AbortController;
  readonly ended: Promise<void>;
}

/** Rebuilds the archive when an operator asks for it, one rebuild at a time (PROTOCOL.md section 13.4). */
export class Rebuilder {
  readonly #options: RebuilderOptions;
  #underway: Underway | undefined;
  /** Of the last rebuild since the start of the service. */
  #status: RebuildStatus | undefined;

  constructor(options: RebuilderOptions) {
    this.#options = options;
    removeRebuild(options.store.archive.path);
    options.metrics.gauge(
      'archive_rebuild_remaining_events',
      'Events that a rebuild of the archive has yet to read; 0 while there is none.',
      () => {
        const { done, total } = this.#underway?.rebuild.progress ?? { done: 0, total: 0 };
        return total - done;
      },
    );
  }

  /** Whether a rebuild was begun since the start of the service. */
  get begun(): boolean {
    return this.#status !== undefined;
  }

  /** @throws TidemarkError `not_found` where no rebuild was begun since the start of the service */
  get status(): RebuildStatus {
    const status = this.#status;
    if (!status) throw new TidemarkError('not_found', 'No rebuild was begun.');
    return { ...status, ...this.#underway?.rebuild.progress };
  }

  /**
   * Begins a rebuild.
   *
   * @throws TidemarkError `conflict` while one is under way; `unavailable` before the first contact with the stream, or
   *   where the disk has too little room
   */
  begin(): RebuildStatus {
    const { store, logger, openFeed } = this.#options;
    if (this.#underway) throw new TidemarkError('conflict', 'A rebuild is under way.');
    const { archive } = store.snapshot();
    requireRoom(archive.path, this.#options.freeBytes ?? freeBytes);
    const cancelling = new AbortController();
    const { signal } = cancelling;
    const rebuild = new Rebuild({ archive, openFeed, logger, signal });
    this.#status = {
      state: 'running',
      ...rebuild.progress,
      unreadable: 0,
      startedAt: new Date().toISOString(),
    };
    this.#underway = { rebuild, cancelling, ended: this.#run(rebuild, signal) };
    return this.status;
  }

  /** Ends the rebuild that is under way, if there is one; nothing has changed then. */
  async cancel(): Promise<RebuildStatus> {
    this.#underway?.cancelling.abort(new Error('It was cancelled.'));
    await this.#underway?.ended;
    return this.status;
  }

  async stop(): Promise<void> {
    this.#underway?.cancelling.abort(new Error('The service stops.'));
    await this.#underway?.ended;
  }

  async #run(rebuild: Rebuild, signal: AbortSignal): Promise<void> {
    const { logger, onExchanged } = this.#options;
    const startMs = performance.now();
    logger.info(rebuild.progress, 'the archive is rebuilt');
    const timer = setInterval(() => logger.info(rebuild.progress, 'rebuilding'), LOG_MS);
    const end = (state: RebuildStatus['state'], more: { readonly reason?: string } = {}) => {
      const { progress, unreadable } = rebuild;
      const startedAt = this.#status?.startedAt ?? '';
      const endedAt = new Date().toISOString();
      this.#status = { state, ...progress, unreadable, startedAt, endedAt, ...more };
      const seconds = (performance.now() - startMs) / 1000;
      const log = state === 'failed' ? logger.error.bind(logger) : logger.info.bind(logger);
      log({ state, ...progress, unreadable, seconds, ...more }, 'the rebuild has ended');
    };
    try {
      await rebuild.run();
      end('complete');
      onExchanged();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      end(signal.aborted ? 'cancelled' : 'failed', { reason });
    } finally {
      clearInterval(timer);
      this.#underway = undefined;
    }
  }
}

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(dirname(path));
  return bavail * bsize;
}

/** @throws TidemarkError `unavailable` */
function requireRoom(path: string, freeBytes: (path: string) => number): void {
  const needed = statSync(path).size * ROOM_PART;
  const free = freeBytes(path);
  if (free >= needed) return;
  const megabytes = (bytes: number) => Math.ceil(bytes / 1e6);
  throw new TidemarkError(
    'unavailable',
    `A rebuild needs ${megabytes(needed)} MB of the disk, and ${megabytes(free)} MB are free.`,
  );
}
