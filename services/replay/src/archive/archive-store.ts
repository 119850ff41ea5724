import assert from 'node:assert';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type ArchiveHoldings, type LogBounds, TidemarkError, toPresent } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { setAside } from '../sqlite/database-file.ts';
import { Archive } from './archive.ts';

/** The archive in use, together with its bounds at one moment. */
export interface ArchiveSnapshot {
  readonly archive: Archive;
  readonly bounds: LogBounds;
}

/**
 * Holds the archive in use. Archives of earlier epochs stay beside its file under another name, and
 * nothing reads them.
 */
export class ArchiveStore {
  readonly #path: string;
  readonly #logger: Logger;
  #archive: Archive;

  /** @throws ConfigurationError when the file cannot be written or belongs to another program */
  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
    this.#archive = new Archive(path, logger);
  }

  get archive(): Archive {
    return this.#archive;
  }

  /** 0 before the first contact with the stream. */
  get lastSequence(): number {
    return this.#archive.bounds?.lastSequence ?? 0;
  }

  /** What the archive holds, with at most `rangesMax` missing ranges; `undefined` before it has an epoch. */
  holdings(rangesMax: number): ArchiveHoldings | undefined {
    return this.#archive.open ? this.#archive.holdings(rangesMax) : undefined;
  }

  /** @throws TidemarkError `unavailable` before the first contact with the stream */
  snapshot(): ArchiveSnapshot {
    const archive = this.#archive;
    const { open, bounds } = archive;
    if (open && bounds) return { archive, bounds };
    throw new TidemarkError('unavailable', 'The archive has not begun yet.');
  }

  /**
   * Brings the archive in line with the stream before more of the stream is read. For another log a new
   * file begins. For a later epoch of the same log, events that the stream lost at its end are removed. A
   * range that the stream dropped before it was archived is noted as missing. The bounds are right when the
   * call returns; the promise takes as long as a removal does.
   *
   * @returns the sequence after which to read
   */
  async alignWith(stream: LogBounds): Promise<number> {
    // A replacement that failed half way, such as on a full disk, is completed here.
    if (!this.#archive.open) this.#archive = new Archive(this.#path, this.#logger);
    // A removal that failed half way, such as by a lock, too.
    if (this.#archive.truncating) {
      await this.truncateAfter(this.lastSequence, 'the removal of lost events goes on');
    }
    const found = this.#archive.bounds;
    if (found && found.epoch !== stream.epoch) await this.#changeEpoch(found, stream);
    const { bounds } = this.#archive;
    const { firstSequence, lastSequence } = stream;
    if (!bounds) {
      this.#archive.begin(stream, firstSequence);
      return firstSequence - 1;
    }
    assert(lastSequence >= bounds.lastSequence, 'Only another epoch is shorter than the archive.');
    if (firstSequence <= bounds.lastSequence + 1) return bounds.lastSequence;
    const missing = { from: bounds.lastSequence + 1, to: firstSequence - 1 };
    this.#logger.warn(missing, 'the stream dropped events before they were archived');
    this.#archive.appendEvents([], [missing], missing.to);
    return missing.to;
  }

  async #changeEpoch(found: LogBounds, stream: LogBounds): Promise<void> {
    const end = { epoch: found.epoch, sequence: found.lastSequence };
    const shared = toPresent(stream, end)?.sequence;
    if (shared === undefined) {
      await this.#replace(found.epoch);
      return;
    }
    const through = Math.min(shared, stream.lastSequence);
    if (through < found.lastSequence) {
      await this.truncateAfter(through, 'the archive removes what the log lost');
    }
    // Last, so that an interruption leaves an archive that is aligned once more.
    this.#archive.enterEpoch(stream);
  }

  /**
   * Removes what lies after a sequence, in short steps, and logs why. It is not served from the call on.
   *
   * @throws the error of SQLite; the archive is then exact up to where the removal came, and a further
   *   `alignWith` completes it
   */
  async truncateAfter(sequence: number, reason: string): Promise<void> {
    this.#logger.warn({ sequence }, reason);
    const archive = this.#archive;
    let events = archive.truncateAfter(sequence);
    while (archive.truncating) {
      await nextTurn();
      events += archive.truncateAfter(sequence);
    }
    this.#logger.warn({ sequence, events }, 'the archive has removed events');
  }

  async close(): Promise<void> {
    await this.#archive.checkpoints.stop();
    this.#archive.close();
  }

  async #replace(epoch: string): Promise<void> {
    await this.close();
    const kept = setAside(this.#path, epoch);
    this.#logger.warn({ epoch, kept }, 'the stream was replaced: a new archive begins');
    this.#archive = new Archive(this.#path, this.#logger);
  }
}
