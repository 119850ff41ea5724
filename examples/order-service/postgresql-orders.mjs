import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createOutbox, schemaFor } from '@tidemark/publisher/outbox';
import pg from 'pg';
import { alreadyPaid, eventOf, notFound, OrderError, sameOrder } from './order.mjs';

/** @typedef {import('./order.mjs').Order} Order */

const COLUMNS = 'id, version, status, customer, total';

const CONNECTIONS_MAX = 10;
/** How long a request may wait for a connection, a lock or a statement. */
const CONNECT_MS = 5_000;
const LOCK_MS = 5_000;
const STATEMENT_MS = 10_000;
/** After this a connection that gives no answer counts as broken. */
const ANSWER_MS = 15_000;

/** Keeps services that start at the same time from making the tables at the same time. */
const SCHEMA_LOCK = 20_260;

/**
 * After these the same request may succeed. SQLSTATEs: the connection, conflicts of transactions, resources, locks, and a
 * server that stops; and errors of the network, such as ECONNREFUSED.
 */
const TEMPORARY = /^(?:08|40|53|55|57|E[A-Z])/;

/** The orders in PostgreSQL. Each change writes the order and its event in one transaction: both are there or none. */
export class PostgresqlOrders {
  #pool;
  #outbox = createOutbox({ source: '/order-service' });

  /** @param {string} url `postgres://…` */
  constructor(url) {
    this.#pool = new pg.Pool({
      connectionString: url,
      max: CONNECTIONS_MAX,
      connectionTimeoutMillis: CONNECT_MS,
      lock_timeout: LOCK_MS,
      statement_timeout: STATEMENT_MS,
      query_timeout: ANSWER_MS,
    });
    // Without a listener a connection that breaks would end the process, whether it is idle or in use. It is replaced
    // when the next one is needed. (The listener is set here because a connection may break before `connect` resolves.)
    this.#pool.on('connect', (client) => client.on('error', () => undefined));
    this.#pool.on('error', (error) => console.error(`An idle connection broke: ${error.message}`));
  }

  /** Makes the tables where they are missing. */
  async migrate() {
    const orders = await readFile(new URL('schema.sql', import.meta.url), 'utf8');
    await this.#transaction(async (db) => {
      await db.query('SELECT pg_advisory_xact_lock($1)', [SCHEMA_LOCK]);
      await db.query(orders);
      await db.query(schemaFor('postgresql'));
    });
  }

  /**
   * @param {import('./order.mjs').Request} request
   * @param {import('./order.mjs').NewOrder} wanted
   * @returns {Promise<Order>} the new order, or the one that this key has made
   * @throws OrderError `key_reused`
   */
  place({ key, traceparent }, wanted) {
    return this.#transaction(async (db) => {
      // Waits for a transaction with the same key that is under way.
      const { rows } = await db.query(
        `INSERT INTO orders (id, version, status, customer, total, place_key)
         VALUES ($1, 1, 'placed', $2, $3, $4) ON CONFLICT (place_key) DO NOTHING RETURNING ${COLUMNS}`,
        [randomUUID(), wanted.customer, wanted.total, key],
      );
      const order = /** @type {Order | undefined} */ (rows[0]);
      if (!order) return sameOrder(await this.#placedBy(db, key), wanted);
      await this.#outbox.add(db, eventOf(order, traceparent));
      return order;
    });
  }

  /**
   * @param {import('./order.mjs').Request} request
   * @param {string} id
   * @returns {Promise<Order>}
   * @throws OrderError `not_found`, `already_paid`: with another key
   */
  pay({ key, traceparent }, id) {
    return this.#transaction(async (db) => {
      // The lock puts the changes of one order one after the other. The event is added while it is held, so that
      // the events of the order have the order of its versions.
      const { rows } = await db.query('SELECT pay_key FROM orders WHERE id = $1 FOR UPDATE', [id]);
      if (rows.length === 0) throw notFound(id);
      const paidBy = rows[0].pay_key;
      if (paidBy !== null && paidBy !== key) throw alreadyPaid(id);
      if (paidBy === key) return this.#read(db, id);
      await db.query(
        `UPDATE orders SET status = 'paid', version = version + 1, pay_key = $2 WHERE id = $1`,
        [id, key],
      );
      const order = await this.#read(db, id);
      await this.#outbox.add(db, eventOf(order, traceparent));
      return order;
    });
  }

  /** @param {string} id @returns {Promise<Order>} @throws OrderError `not_found` */
  find(id) {
    return this.#read(this.#pool, id);
  }

  /** @param {unknown} error @returns {boolean} whether the same request may succeed later */
  isTemporary(error) {
    if (!(error instanceof Error)) return false;
    // What pg says of a connection that ended, or was not free in time, has no code.
    if (!('code' in error)) return /connection|timeout/i.test(error.message);
    return TEMPORARY.test(String(error.code));
  }

  close() {
    return this.#pool.end();
  }

  /** @param {pg.Pool | pg.PoolClient} db @param {string} id @returns {Promise<Order>} */
  async #read(db, id) {
    const { rows } = await db.query(`SELECT ${COLUMNS} FROM orders WHERE id = $1`, [id]);
    if (rows.length === 0) throw notFound(id);
    return rows[0];
  }

  /** @param {pg.PoolClient} db @param {string} key @returns {Promise<Order>} */
  async #placedBy(db, key) {
    const { rows } = await db.query(`SELECT ${COLUMNS} FROM orders WHERE place_key = $1`, [key]);
    return rows[0];
  }

  /**
   * Runs the work in a transaction, and ends this before the answer goes out. Where the connection breaks during
   * COMMIT nobody knows whether it took place: the client sends the request again, and its key finds out.
   *
   * @template T
   * @param {(db: pg.PoolClient) => Promise<T>} work
   * @returns {Promise<T>}
   */
  async #transaction(work) {
    const db = await this.#pool.connect();
    /** @type {Error | undefined} */
    let broken;
    try {
      await db.query('BEGIN');
      const result = await work(db);
      await db.query('COMMIT');
      return result;
    } catch (error) {
      broken = await rollBack(db, error);
      throw error;
    } finally {
      db.release(broken);
    }
  }
}

/**
 * Ends a transaction after an error.
 *
 * @param {pg.PoolClient} db @param {unknown} error
 * @returns {Promise<Error | undefined>} why the connection has to be closed; the server rolls back then
 */
async function rollBack(db, error) {
  const hasAnswered = error instanceof OrderError || error instanceof pg.DatabaseError;
  if (!hasAnswered) return new Error('The connection may never answer.', { cause: error });
  return db.query('ROLLBACK').then(
    () => undefined,
    (/** @type {Error} */ failure) => failure,
  );
}
