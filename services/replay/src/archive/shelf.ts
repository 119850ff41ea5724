import type { StreamState } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { Archive } from './archive.ts';
import { setAside } from './database-file.ts';
import type { ArchivePosition } from './windows.ts';

/** An archive together with how far it had come when it was taken. */
export interface Standing {
  readonly archive: Archive;
  readonly position: ArchivePosition;
}

/** Where the archive in use stands, and those of earlier epochs beside it. */
export class Shelf {
  readonly #path: string;
  readonly #log: Logger;
  #archive: Archive;

  /** @throws ConfigurationError when the file cannot be written or is not one of ours */
  constructor(path: string, log: Logger) {
    this.#path = path;
    this.#log = log;
    this.#archive = new Archive(path, log);
  }

  get archive(): Archive {
    return this.#archive;
  }

  /** @throws TidemarkError `unavailable` before the first contact with the stream */
  standing(): Standing {
    const archive = this.#archive;
    const { open, position } = archive;
    if (open && position) return { archive, position };
    throw new TidemarkError('unavailable', 'The projection has not begun yet.');
  }

  /**
   * Brings the archive in line with the stream before it is read on: another epoch begins a new
   * file, an end that the stream lost is taken back, and what the stream dropped unseen is noted.
   *
   * @returns the sequence after which to read
   */
  align({ epoch, firstSequence, lastSequence }: StreamState): number {
    // A replacement that failed half way, such as on a full disk, is taken up again here.
    if (!this.#archive.open) this.#archive = new Archive(this.#path, this.#log);
    const found = this.#archive.position;
    if (found && found.epoch !== epoch) this.#replace(found.epoch);
    const position = this.#archive.position;
    if (!position) {
      this.#archive.begin(epoch, firstSequence);
      return firstSequence - 1;
    }
    if (lastSequence < position.sequence) {
      this.takeBack(lastSequence, 'the stream lost its end: events that it no longer has go');
      return lastSequence;
    }
    if (firstSequence <= position.sequence + 1) return position.sequence;
    const missing = { from: position.sequence + 1, to: firstSequence - 1 };
    this.#log.warn(missing, 'the stream dropped events before they were projected');
    this.#archive.append([], [missing], missing.to);
    return missing.to;
  }

  takeBack(sequence: number, reason: string): void {
    const events = this.#archive.truncate(sequence);
    this.#log.warn({ sequence, events }, reason);
  }

  close(): void {
    this.#archive.close();
  }

  #replace(epoch: string): void {
    this.#archive.close();
    const kept = setAside(this.#path, epoch);
    this.#log.warn({ epoch, kept }, 'the stream is another one: a new archive begins');
    this.#archive = new Archive(this.#path, this.#log);
  }
}
