import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createOutbox, schemaFor } from '@tidemark/publisher/outbox';
import Database from 'better-sqlite3';
import { alreadyPaid, eventOf, notFound, sameOrder } from './order.mjs';

/** @typedef {import('./order.mjs').Order} Order */

const COLUMNS = 'id, version, status, customer, total';

/** How long a write waits for other processes. */
const BUSY_MS = 5_000;

/**
 * The same as `PostgresqlOrders`, in a file of SQLite. A transaction here is synchronous and IMMEDIATE: it has the
 * lock of all writes from its first statement on.
 */
export class SqliteOrders {
  #file;
  #outbox = createOutbox({ source: '/order-service' });

  /** @param {string} path */
  constructor(path) {
    this.#file = new Database(path, { timeout: BUSY_MS });
    this.#file.pragma('journal_mode = WAL');
    // A 201 says that the order is stored: so each commit waits for the disk.
    this.#file.pragma('synchronous = FULL');
  }

  async migrate() {
    const orders = await readFile(new URL('schema.sql', import.meta.url), 'utf8');
    this.#file.transaction(() => this.#file.exec(orders).exec(schemaFor('sqlite'))).immediate();
  }

  /**
   * @param {import('./order.mjs').Request} request
   * @param {import('./order.mjs').NewOrder} wanted
   * @returns {Promise<Order>}
   */
  async place({ key, traceparent }, wanted) {
    return this.#transaction(() => {
      const known = this.#first(`SELECT ${COLUMNS} FROM orders WHERE place_key = ?`, key);
      if (known) return sameOrder(known, wanted);
      const order = this.#first(
        `INSERT INTO orders (id, version, status, customer, total, place_key)
         VALUES (?, 1, 'placed', ?, ?, ?) RETURNING ${COLUMNS}`,
        ...[randomUUID(), wanted.customer, wanted.total, key],
      );
      this.#outbox.add(this.#file, eventOf(order, traceparent));
      return order;
    });
  }

  /**
   * @param {import('./order.mjs').Request} request
   * @param {string} id
   * @returns {Promise<Order>}
   */
  async pay({ key, traceparent }, id) {
    return this.#transaction(() => {
      const known = this.#first('SELECT pay_key FROM orders WHERE id = ?', id);
      if (!known) throw notFound(id);
      if (known.pay_key === key) return this.#read(id);
      if (known.pay_key !== null) throw alreadyPaid(id);
      const order = this.#first(
        `UPDATE orders SET status = 'paid', version = version + 1, pay_key = ? WHERE id = ? RETURNING ${COLUMNS}`,
        ...[key, id],
      );
      this.#outbox.add(this.#file, eventOf(order, traceparent));
      return order;
    });
  }

  /** @param {string} id @returns {Promise<Order>} */
  async find(id) {
    return this.#read(id);
  }

  /** @param {unknown} error */
  isTemporary(error) {
    return error instanceof Database.SqliteError && /BUSY|LOCKED|FULL|IOERR/.test(error.code);
  }

  async close() {
    this.#file.close();
  }

  /** @param {string} id @returns {Order} */
  #read(id) {
    const order = this.#first(`SELECT ${COLUMNS} FROM orders WHERE id = ?`, id);
    if (!order) throw notFound(id);
    return order;
  }

  /** @param {string} sql @param {unknown[]} values @returns {any} the first row */
  #first(sql, ...values) {
    return this.#file.prepare(sql).get(...values);
  }

  /** @template T @param {() => T} work @returns {T} */
  #transaction(work) {
    return this.#file.transaction(work).immediate();
  }
}
