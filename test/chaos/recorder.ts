import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import type { FinalRecord, HistoryRecord } from './history.ts';

type WithoutTime<T> = T extends unknown ? Omit<T, 'atMs'> : never;

/** A record before it gets its time. */
export type Unstamped = WithoutTime<HistoryRecord>;

const BUFFER_LINES = 500;

/** Writes the history of a run into a folder, with one clock for all records. */
export class Recorder {
  readonly folder: string;
  readonly #file: number;
  #lines: string[] = [];
  #isClosed = false;

  constructor(folder: string) {
    mkdirSync(folder, { recursive: true });
    this.folder = folder;
    this.#file = openSync(join(folder, 'history.jsonl'), 'w');
  }

  get nowMs(): number {
    return performance.now();
  }

  record(record: Unstamped): void {
    if (this.#isClosed) return;
    const { kind, ...rest } = record;
    const atMs = Math.round(this.nowMs * 1000) / 1000;
    this.#lines.push(JSON.stringify({ kind, atMs, ...rest }));
    if (this.#lines.length >= BUFFER_LINES) this.#flush();
  }

  /** Ends the history. What happens later, such as the end of all connections, is not part of it. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#flush();
    closeSync(this.#file);
  }

  /** Writes what the stream and the archives hold at the end. */
  writeFinal(records: Iterable<FinalRecord>): void {
    const file = openSync(join(this.folder, 'final.jsonl'), 'w');
    for (const record of records) writeSync(file, `${JSON.stringify(record)}\n`);
    closeSync(file);
  }

  #flush(): void {
    if (this.#lines.length === 0) return;
    writeSync(this.#file, `${this.#lines.join('\n')}\n`);
    this.#lines = [];
  }
}
