import { epochOf, isAfter } from './cursors.ts';
import type { Cancel, Environment } from './environment.ts';
import { TidemarkClientError } from './errors.ts';
import type { CursorStore } from './types.ts';

/** Between two writes: so much may come again after a crash, beside what was in hand. */
export const WRITE_EVERY_MS = 100;

/**
 * The position up to which a consumer has finished, and its copy in the store. One write is under way at a time, of
 * the newest position. Several tabs may write: none takes the stored cursor back.
 */
export class StoredCursor {
  cursor: string | undefined;
  readonly #key: string | undefined;
  readonly #store: CursorStore;
  readonly #environment: Environment;
  /** What this tab read or wrote last; empty since a gap has led it back. */
  #stored: string | undefined;
  #writing = false;
  #timer: Cancel | undefined;

  constructor(key: string | undefined, store: CursorStore, environment: Environment) {
    this.#key = key;
    this.#store = store;
    this.#environment = environment;
  }

  /** @throws TidemarkClientError `store_failed`: to begin elsewhere than at the cursor could lose events */
  async read(): Promise<string | undefined> {
    if (this.#key === undefined) return undefined;
    try {
      this.#stored = await this.#store.get(this.#key);
    } catch (cause) {
      const message = 'The cursor cannot be read.';
      throw new TidemarkClientError({ code: 'store_failed', message, retryable: true }, { cause });
    }
    this.cursor ??= this.#stored;
    return this.cursor;
  }

  /** Also back, where a gap says that the log has lost its end: only there is it told of events again. */
  advance(cursor: string): void {
    if (this.cursor !== undefined && isAfter(this.cursor, cursor)) this.#stored = '';
    this.cursor = cursor;
    if (this.#key === undefined || this.#writing || this.#timer) return;
    this.#timer = this.#environment.timer(() => this.flush(), WRITE_EVERY_MS);
  }

  /** Writes now what is not written yet. A store without promises has it when this returns. */
  flush(): void {
    this.#timer?.();
    this.#timer = undefined;
    if (this.#key === undefined || this.#writing || this.cursor === this.#stored) return;
    this.#write(this.#key);
  }

  #write(key: string): void {
    this.#writing = true;
    const written = this.cursor;
    const done = () => {
      this.#writing = false;
      if (this.cursor !== written && this.cursor !== undefined) this.advance(this.cursor);
    };
    try {
      const found = this.#store.get(key);
      // In one go where the store answers at once, so that no other tab comes between.
      if (isPromise(found)) found.then((stored) => this.#replace(key, stored)).then(done, done);
      else {
        const end = this.#replace(key, found);
        if (isPromise(end)) end.then(done, done);
        else done();
      }
    } catch {
      done();
    }
  }

  #replace(key: string, stored: string | undefined): void | Promise<void> {
    const next = this.cursor;
    if (next === undefined) return;
    const written = () => {
      this.#stored = next;
    };
    if (stored !== undefined && !isForward(next, stored, this.#stored)) return written();
    const end = this.#store.set(key, next);
    return isPromise(end) ? end.then(written) : written();
  }
}

/**
 * Whether a tab may replace what is stored: what it wrote itself, and anything since a gap has led it back. Else sequences of
 * one epoch are compared. Of two epochs, the one counts that this tab has come to since it wrote last; otherwise another
 * tab has come to it, and is ahead.
 */
export function isForward(next: string, stored: string, mine: string | undefined): boolean {
  if (stored === mine || mine === '') return true;
  if (epochOf(next) === epochOf(stored)) return isAfter(next, stored);
  return mine === undefined || epochOf(next) !== epochOf(mine);
}

function isPromise<Value>(value: Value | Promise<Value>): value is Promise<Value> {
  return typeof (value as Promise<unknown> | undefined)?.then === 'function';
}
