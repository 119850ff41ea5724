import { createServer } from 'node:http';
import { requestJson } from '../http.mjs';

/**
 * @typedef {object} Order
 * @property {number} version counts the changes of this order
 * @property {number} total
 */

/** A back end with its own state, which publishes an event for each change. */
export class BackEnd {
  /** @type {Map<string, Order>} */
  orders = new Map();
  changes = 0;
  #topic;
  #settings;
  #server = createServer((_, answer) => answer.end(JSON.stringify([...this.orders])));

  /** @param {import('../settings.mjs').Settings} settings @param {string} topic the prefix of its topics */
  constructor(settings, topic) {
    this.#settings = settings;
    this.#topic = topic;
  }

  /** @returns {Promise<string>} the URL at which pages read the state */
  async listen() {
    await new Promise((resolve) => this.#server.listen(0, '127.0.0.1', () => resolve(undefined)));
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());
    return `http://127.0.0.1:${port}/orders`;
  }

  close() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /**
   * Stores the change first, and publishes it then: so the state has whatever is in the log. The changes of one
   * order have to be made one after the other, so that their events are in order. (A back end with a database
   * keeps the events that it has to publish in the same transaction as the change.)
   *
   * @param {string} name
   * @param {number} added
   * @returns {Promise<string>} the event's cursor
   */
  async change(name, added) {
    const { version, total } = this.orders.get(name) ?? { version: 0, total: 0 };
    const order = { version: version + 1, total: total + added };
    this.orders.set(name, order);
    this.changes++;
    const event = {
      // The same in each attempt, so that a repeat is not stored again.
      id: String(order.version),
      source: '/examples/order-page',
      type: 'order.changed',
      topic: `${this.#topic}.${name}`,
      data: { order: name, version: order.version, added },
    };
    const { cursor } = await requestJson(`${this.#settings.ingest}/v1/events`, {
      method: 'POST',
      token: this.#settings.token,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(event),
    });
    return cursor;
  }
}
