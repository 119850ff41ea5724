import { setTimeout as pause } from 'node:timers/promises';
import { asTidemarkError, type CloudEvent, formatCursor, toNoticeEvent } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import type { Archive } from '../archive/archive.ts';
import type { ArchiveStore } from '../archive/archive-store.ts';
import type { KnownErasure, OwedNotice } from '../sqlite/erasure-table.ts';

/** Events that one step deletes from the stream, which takes some 5 ms for each. */
const DELETIONS_PER_STEP = 16;

/** Pause where there is nothing to erase, and after a step that failed. */
const IDLE_MS = 50;
const FAILED_MS = 2000;

/** The stream, as far as events are deleted from it. */
export interface ErasedStream {
  /** Deletes an event, if it is there. */
  readonly eraseEvent: (sequence: number) => Promise<void>;
  /** The first event of a topic from a sequence on. */
  readonly nextOfTopic: (topic: string, from: number) => Promise<number | undefined>;
  /** Appends the notice of an erasure. @throws TidemarkError as `EventAppender.append` */
  readonly append: (notice: CloudEvent) => Promise<unknown>;
}

/** What the eraser works on. */
export interface EraserOptions {
  readonly store: Pick<ArchiveStore, 'archive'>;
  readonly stream: ErasedStream;
  readonly logger: Logger;
}

/**
 * Carries out the erasures whose records the archive has: first the archive, then its disk, then the stream. What was
 * removed from the archive is told to the readers of its topics, by notices that the archive keeps until then. Each
 * replay service does so; what another one has done already is no error. The archive notes how far each erasure has
 * come, so that a process that was killed goes on with it.
 */
export class Eraser {
  readonly #options: EraserOptions;
  readonly #stopping = new AbortController();
  /** How far the erasures of topics have come in the stream, by their records; what is lost is looked at again. */
  readonly #reached = new Map<number, number>();
  /** Whether something may have been removed that is still in the write-ahead log. */
  #unflushed = true;
  /** The record of the erasure that had the last step in the stream: others are next. */
  #turn = 0;
  /** When the next notice is told: one that fails must not keep anything from being erased. */
  #tellAtMs = 0;

  constructor(options: EraserOptions) {
    this.#options = options;
  }

  start(): void {
    void this.#run();
  }

  stop(): void {
    this.#stopping.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const waitMs = await this.step()
        .then((more) => (more ? 0 : IDLE_MS))
        .catch((error) => this.#fail(error));
      await pause(waitMs, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Does a part of what there is to do. @returns whether there may be more to do at once */
  async step(): Promise<boolean> {
    const { archive } = this.#options.store;
    // While a part is to be removed, the file has records that the log has lost.
    if (!archive.open || archive.truncating) return false;
    const removing = archive.erasures.firstIn('archive');
    if (removing) {
      this.#unflushed = true;
      archive.eraseStep(removing);
      return true;
    }
    if (await this.#tellNext(archive)) return true;
    const { erasures } = archive;
    const deleting = erasures.firstIn('stream', this.#turn) ?? erasures.firstIn('stream');
    if (!deleting) return false;
    if (this.#unflushed && !archive.flushRemoved()) return false;
    this.#unflushed = false;
    this.#turn = deleting.record;
    await this.#deleteStep(archive, deleting);
    return true;
  }

  /** @returns whether a notice was owed, and is told */
  async #tellNext(archive: Archive): Promise<boolean> {
    if (performance.now() < this.#tellAtMs) return false;
    const owed = archive.erasures.nextNotice();
    if (!owed) return false;
    const notice = toNotice(archive, owed);
    try {
      if (notice) await this.#options.stream.append(notice);
    } catch (error) {
      // Another replay service has told the same in other words.
      if (asTidemarkError(error).code !== 'conflict') {
        this.#tellAtMs = performance.now() + this.#fail(error);
        return false;
      }
    }
    if (archive.open) archive.erasures.dropNotice(owed.id);
    return true;
  }

  async #deleteStep(archive: Archive, erasure: KnownErasure): Promise<void> {
    const { logger } = this.#options;
    const { record } = erasure;
    if (!(await this.#deleteSome(archive, erasure)) || !archive.open) return;
    archive.erasures.note(record, 'complete', 0);
    this.#reached.delete(record);
    logger.info({ record, events: erasure.events }, 'an erasure is complete');
  }

  /** @returns whether the stream has nothing more of it */
  async #deleteSome(archive: Archive, { record, topic }: KnownErasure): Promise<boolean> {
    const { stream } = this.#options;
    const named = topic === null ? archive.erasures.sequencesOf(record) : [];
    let from = this.#reached.get(record) ?? 1;
    for (let count = 0; count < DELETIONS_PER_STEP; count++) {
      const next =
        topic === null
          ? named.find((sequence) => sequence >= from)
          : await stream.nextOfTopic(topic, from);
      if (next === undefined || next >= record) return true;
      await stream.eraseEvent(next);
      from = next + 1;
      this.#reached.set(record, from);
    }
    return false;
  }

  /** @returns how long to wait */
  #fail(error: unknown): number {
    if (this.#stopping.signal.aborted) return 0;
    this.#options.logger.error({ err: error, retryMs: FAILED_MS }, 'an erasure is not complete');
    return FAILED_MS;
  }
}

/** @returns `undefined` where there is nobody to be told */
function toNotice(
  archive: Archive,
  { record, topic, sequences }: OwedNotice,
): CloudEvent | undefined {
  const { epoch = '' } = archive.bounds ?? {};
  const toCursor = (sequence: number) => formatCursor({ epoch, sequence });
  return toNoticeEvent(
    { topic, record: toCursor(record), ...(sequences && { cursors: sequences.map(toCursor) }) },
    { recordedMs: archive.findEvent(record)?.timeMs ?? 0, nowMs: Date.now() },
  );
}
