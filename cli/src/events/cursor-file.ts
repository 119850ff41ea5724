import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { codeOf, usageError } from '../base/errors.ts';

/** How often the file is written while events come. */
const WRITE_MS = 200;

/** A file with the cursor up to which events were printed, whole or not at all. */
export class CursorFile {
  readonly #path: string;
  #cursor: string | undefined;
  #written: string | undefined;
  #writtenMs = 0;

  /** @throws CliError where there is a file that cannot be read */
  constructor(path: string) {
    this.#path = path;
    try {
      this.#cursor = readFileSync(path, 'utf8').trim() || undefined;
      this.#written = this.#cursor;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT')
        throw usageError(`${path} cannot be read (${codeOf(error)}).`);
    }
  }

  /** The cursor of the last run; `undefined` where there was none. */
  get cursor(): string | undefined {
    return this.#cursor;
  }

  /** Everything up to here is printed. */
  move(cursor: string): void {
    this.#cursor = cursor;
    if (performance.now() - this.#writtenMs >= WRITE_MS) this.flush();
  }

  /** Writes what has not been written. @throws CliError */
  flush(): void {
    if (this.#cursor === undefined || this.#cursor === this.#written) return;
    const aside = `${this.#path}.${process.pid}`;
    try {
      writeFileSync(aside, `${this.#cursor}\n`);
      renameSync(aside, this.#path);
    } catch (error) {
      throw usageError(`${this.#path} cannot be written (${codeOf(error)}).`);
    }
    this.#written = this.#cursor;
    this.#writtenMs = performance.now();
  }
}
