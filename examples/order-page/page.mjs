import { setTimeout as sleep } from 'node:timers/promises';
import { follow } from '../follow.mjs';
import { requestJson } from '../http.mjs';

/** A page comes back after a random part of this, so that not all of them come at once. */
const COME_BACK_MS = 500;

/**
 * @typedef {object} PageOptions
 * @property {import('../settings.mjs').Settings} settings
 * @property {string} stateUrl where the back end tells its state
 * @property {string} topic the prefix of the orders' topics
 * @property {number} pauseMs between the two requests of loading, as on a slow network
 * @property {boolean} [stateFirst] the wrong order, to show what it does
 */

/** An order page: the state of all orders, and each change from there on. */
export class OrderPage {
  /** @type {Map<string, import('./back-end.mjs').Order>} */
  orders = new Map();
  /** The cursor of what is shown; `undefined` before the page is loaded. @type {string | undefined} */
  cursor;
  counts = { applied: 0, alreadyThere: 0, missed: 0 };
  #options;
  #closing = new AbortController();

  /** @param {PageOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** Loads the page and keeps it up to date until `close`. */
  async show() {
    const { settings, topic } = this.#options;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      const after = this.cursor ?? (await this.#load());
      await follow({
        gateway: settings.gateway,
        token: settings.token,
        topics: [`${topic}.*`],
        after,
        signal,
        onMessage: (message) => this.#receive(message),
      });
      if (!signal.aborted) await sleep(Math.random() * COME_BACK_MS);
    }
  }

  close() {
    this.#closing.abort();
  }

  /** Position first, state second: the state then has everything up to the position, and perhaps more. */
  async #load() {
    const { stateFirst, pauseMs } = this.#options;
    const [first, second] = stateFirst
      ? [this.#readState, this.#readHead]
      : [this.#readHead, this.#readState];
    await first.call(this);
    await sleep(pauseMs);
    await second.call(this);
    return this.cursor ?? '';
  }

  async #readHead() {
    const { gateway, token } = this.#options.settings;
    const { cursor } = await requestJson(`${gateway}/v1/head`, { token });
    this.cursor = cursor;
  }

  async #readState() {
    this.orders = new Map(await requestJson(this.#options.stateUrl, {}));
  }

  /** @param {import('../follow.mjs').Message} message */
  #receive(message) {
    if (message.type === 'gap') {
      // Changes are gone, such as those older than retention keeps: only the state has them, so load again.
      this.cursor = undefined;
      return false;
    }
    if (message.type === 'event') this.#apply(message.event.data);
    this.cursor = message.cursor ?? this.cursor;
    return true;
  }

  /** @param {{ order: string, version: number, added: number }} change */
  #apply({ order: name, version, added }) {
    const order = this.orders.get(name) ?? { version: 0, total: 0 };
    // It happened between the two requests: the state that was read has it.
    if (version <= order.version) {
      this.counts.alreadyThere++;
      return;
    }
    this.counts.missed += version - order.version - 1;
    this.counts.applied++;
    this.orders.set(name, { version, total: order.total + added });
  }
}
