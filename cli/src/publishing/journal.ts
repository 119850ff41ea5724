import { createHash } from 'node:crypto';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

type Environment = Readonly<Record<string, string | undefined>>;

/** How far the publishing of a file has come. */
export interface Progress {
  /** Everything up to this line is stored or was refused. */
  readonly line: number;
  readonly stored: number;
  readonly refused: number;
  /** When it was noted, in ms since 1970. */
  readonly atMs: number;
}

interface Noted extends Progress {
  readonly file: string;
  readonly size: number;
  readonly head: string;
}

/** Bytes at the beginning of a file that tell it from another under the same name. */
const HEAD_BYTES = 64 * 1024;

/**
 * Remembers how far the publishing of a file to a system has come, in a file of its own under
 * `$XDG_STATE_HOME/tidemark/publish`. A repeat after an abort goes on there.
 */
export class Journal {
  readonly #path: string;
  readonly #file: string;
  readonly #headBytes: number;
  readonly #head: string;
  readonly #size: number;

  constructor(file: string, system: string, environment: Environment) {
    this.#file = resolve(file);
    const home = environment.HOME || homedir();
    const base = environment.XDG_STATE_HOME || join(home, '.local', 'state');
    const name = createHash('sha256').update(`${system}\0${this.#file}`).digest('hex').slice(0, 32);
    this.#path = join(base, 'tidemark', 'publish', `${name}.json`);
    this.#size = statSync(file).size;
    this.#headBytes = Math.min(HEAD_BYTES, this.#size);
    this.#head = hashOfHead(file, this.#headBytes);
  }

  /** What was noted for this file, if it is the same or has only grown. */
  read(): Progress | undefined {
    try {
      const noted = JSON.parse(readFileSync(this.#path, 'utf8')) as Noted;
      if (noted.size > this.#size) return undefined;
      const bytes = Math.min(HEAD_BYTES, noted.size);
      const head = bytes === this.#headBytes ? this.#head : hashOfHead(this.#file, bytes);
      return noted.head === head ? noted : undefined;
    } catch {
      return undefined;
    }
  }

  /** Notes it, whole or not at all. */
  write(progress: Progress): void {
    const noted: Noted = { file: this.#file, size: this.#size, head: this.#head, ...progress };
    mkdirSync(join(this.#path, '..'), { recursive: true, mode: 0o700 });
    const aside = `${this.#path}.${process.pid}`;
    writeFileSync(aside, JSON.stringify(noted), { mode: 0o600 });
    renameSync(aside, this.#path);
  }

  /** Everything is published. */
  remove(): void {
    rmSync(this.#path, { force: true });
  }
}

function hashOfHead(file: string, bytes: number): string {
  const buffer = Buffer.alloc(bytes);
  const descriptor = openSync(file, 'r');
  try {
    const read = readSync(descriptor, buffer, 0, bytes, 0);
    return createHash('sha256').update(buffer.subarray(0, read)).digest('hex');
  } finally {
    closeSync(descriptor);
  }
}
