import { type LogBounds, TidemarkError } from '@tidemark/protocol';
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

  /** @throws TidemarkError `unavailable` before the first contact with the stream */
  snapshot(): ArchiveSnapshot {
    const archive = this.#archive;
    const { open, bounds } = archive;
    if (open && bounds) return { archive, bounds };
    throw new TidemarkError('unavailable', 'The archive has not begun yet.');
  }

  /**
   * Brings the archive in line with the stream before more of the stream is read. For another epoch
   * a new file begins. Events that the stream lost at its end are removed. A range that the stream
   * dropped before it was archived is noted as missing.
   *
   * @returns the sequence after which to read
   */
  alignWith({ epoch, firstSequence, lastSequence }: LogBounds): number {
    // A replacement that failed half way, such as on a full disk, is completed here.
    if (!this.#archive.open) this.#archive = new Archive(this.#path, this.#logger);
    const found = this.#archive.bounds;
    if (found && found.epoch !== epoch) this.#replace(found.epoch);
    const { bounds } = this.#archive;
    if (!bounds) {
      this.#archive.begin(epoch, firstSequence);
      return firstSequence - 1;
    }
    if (lastSequence < bounds.lastSequence) {
      this.truncateAfter(lastSequence, 'the stream lost its end: the archive removes those events');
      return lastSequence;
    }
    if (firstSequence <= bounds.lastSequence + 1) return bounds.lastSequence;
    const missing = { from: bounds.lastSequence + 1, to: firstSequence - 1 };
    this.#logger.warn(missing, 'the stream dropped events before they were archived');
    this.#archive.appendEvents([], [missing], missing.to);
    return missing.to;
  }

  /** Removes what lies after a sequence, and logs why. */
  truncateAfter(sequence: number, reason: string): void {
    const events = this.#archive.truncateAfter(sequence);
    this.#logger.warn({ sequence, events }, reason);
  }

  close(): void {
    this.#archive.close();
  }

  #replace(epoch: string): void {
    this.#archive.close();
    const kept = setAside(this.#path, epoch);
    this.#logger.warn({ epoch, kept }, 'the stream was replaced: a new archive begins');
    this.#archive = new Archive(this.#path, this.#logger);
  }
}
