import type { Connection } from './connection.ts';

/** Since when a connection is slow, on the clock's time; `undefined` for one that only catches up. */
type SlowSince = number | undefined;

/**
 * The connections that catch up, and those of them that are slow. A connection is slow from the moment in which it fell
 * behind, or its catch-up had to wait for its socket, until it is at the head again.
 *
 * Its size follows from the work that there is, and not from the number of connections.
 */
export class BehindConnections {
  readonly #all = new Map<Connection, SlowSince>();
  #slow = 0;

  /** How many catch up, with those that are slow. */
  get size(): number {
    return this.#all.size;
  }

  get slow(): number {
    return this.#slow;
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#all.keys();
  }

  /** Since when it is slow, on the clock's time; `undefined` where it is not. */
  slowSince(connection: Connection): number | undefined {
    return this.#all.get(connection);
  }

  /** Called when it has something to catch up on. */
  add(connection: Connection): void {
    if (!this.#all.has(connection)) this.#all.set(connection, undefined);
  }

  /** Called when it has fallen behind, or has to wait for its socket. */
  noteSlow(connection: Connection, nowMs: number): void {
    if (this.#all.get(connection) !== undefined) return;
    this.#all.set(connection, nowMs);
    this.#slow++;
  }

  /** Called when it is at the head, or has ended. */
  delete(connection: Connection): void {
    if (this.#all.get(connection) !== undefined) this.#slow--;
    this.#all.delete(connection);
  }
}
