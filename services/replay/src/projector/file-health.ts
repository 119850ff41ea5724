import type { Logger, Metrics } from '@tidemark/telemetry';

/**
 * How long writing has to succeed before the file counts as writable again: longer than the pause before
 * a write is repeated. On a disk that is almost full, small writes succeed between large ones that fail.
 */
const QUIET_MS = 3000;

/** What file health reports to. */
export interface FileHealthOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/**
 * Whether the archive's file can be written. The log has one line when writing begins to fail, such as
 * on a full disk, and one when it succeeds again, however often it is tried in between.
 */
export class FileHealth {
  readonly #logger: Logger;
  #failedMs: number | undefined;
  #quiet: NodeJS.Timeout | undefined;

  constructor({ logger, metrics }: FileHealthOptions) {
    this.#logger = logger;
    metrics.gauge('projection_file_fault', '1 while the archive cannot be written, else 0.', () =>
      Number(!this.writable),
    );
  }

  get writable(): boolean {
    return this.#failedMs === undefined;
  }

  /** Notes that the file has been written. */
  noteWritten(): void {
    if (this.#failedMs === undefined) return;
    this.#quiet ??= setTimeout(() => this.#end(), QUIET_MS).unref();
  }

  /** Notes that writing failed, if the file is at fault. */
  noteFault(error: unknown): void {
    if (!isFileFault(error)) return;
    clearTimeout(this.#quiet);
    this.#quiet = undefined;
    if (this.#failedMs !== undefined) return;
    this.#failedMs = performance.now();
    this.#logger.error({ err: error }, 'the archive cannot be written');
  }

  #end(): void {
    const seconds = Math.round((performance.now() - (this.#failedMs ?? 0)) / 1000);
    this.#failedMs = undefined;
    this.#quiet = undefined;
    this.#logger.info({ seconds }, 'the archive is written again');
  }
}

/** Whether SQLite could not use its file, because the disk is full, broken or busy. */
export function isFileFault(error: unknown): boolean {
  return error instanceof Error && error.name === 'SqliteError';
}
