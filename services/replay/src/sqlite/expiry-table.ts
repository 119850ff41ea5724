import { NEVER_MS } from '@tidemark/protocol';
import type { Database, Statement } from 'better-sqlite3';

/**
 * When the events expire that do. While nothing has expired it costs a comparison of two numbers, whoever reads
 * how much.
 */
export class ExpiryTable {
  readonly #insert: Statement<[number, number]>;
  readonly #find: Statement<[number, number], number>;
  readonly #due: Statement<[number, number], number>;
  readonly #next: Statement<[], number | null>;
  /** Never later than the first expiry in the table. */
  #nextMs: number;

  constructor(database: Database) {
    this.#insert = database.prepare('INSERT INTO expiring (sequence, expires_ms) VALUES (?, ?)');
    this.#find = database
      .prepare<[number, number], number>(
        'SELECT 1 FROM expiring WHERE sequence = ? AND expires_ms <= ?',
      )
      .pluck();
    this.#due = database
      .prepare<[number, number], number>(
        'SELECT sequence FROM expiring WHERE expires_ms <= ? ORDER BY expires_ms LIMIT ?',
      )
      .pluck();
    this.#next = database
      .prepare<[], number | null>('SELECT min(expires_ms) FROM expiring')
      .pluck();
    this.#nextMs = this.#readNext();
  }

  add(sequence: number, expiresMs: number): void {
    this.#insert.run(sequence, expiresMs);
    this.#nextMs = Math.min(this.#nextMs, expiresMs);
  }

  /** Tells which events have expired; `undefined` while none has that is still in the file. */
  expiredAt(nowMs: number): ((sequence: number) => boolean) | undefined {
    if (this.#nextMs > nowMs) return undefined;
    this.#nextMs = this.#readNext();
    if (this.#nextMs > nowMs) return undefined;
    return (sequence) => this.#find.get(sequence, nowMs) !== undefined;
  }

  /** Sequences of events that have expired, those first that did so first. */
  listExpired(nowMs: number, limit: number): number[] {
    return this.#nextMs > nowMs ? [] : this.#due.all(nowMs, limit);
  }

  #readNext(): number {
    return this.#next.get() ?? NEVER_MS;
  }
}
