import { connect } from '@tidemark/client';

const ORDERS = 5;
const CHANGE_EVERY_MS = 300;

/**
 * A back end with its own state. It stores a change first, and publishes it then: so the state has whatever is in the log.
 *
 * @param {import('../../../../examples/settings.mjs').Settings} settings
 */
export async function start({ gateway, ingest, replay, token }) {
  const tidemark = connect({ url: gateway, ingestUrl: ingest, replayUrl: replay, token });
  /** @type {Map<string, { name: string, version: number, total: number }>} */
  const orders = new Map();
  // What it knew before it was started again; a real one has a database.
  const snapshot = tidemark.snapshot('example.orders.*');
  await snapshot.ready;
  for (const { data } of snapshot.topics.values()) {
    const order = /** @type {{ name: string, version: number, total: number }} */ (data);
    orders.set(order.name, order);
  }
  snapshot.close();

  const change = () => {
    const name = `order-${1 + Math.floor(Math.random() * ORDERS)}`;
    const { version, total } = orders.get(name) ?? { version: 0, total: 0 };
    const order = { name, version: version + 1, total: total + 1 + Math.floor(Math.random() * 9) };
    orders.set(name, order);
    const event = { type: 'order.changed', topic: `example.orders.${name}`, data: order };
    tidemark.publish(event).catch((error) => console.error(error.message));
  };
  const timer = setInterval(change, CHANGE_EVERY_MS);

  return {
    /** @param {unknown} _request @param {import('node:http').ServerResponse} response */
    handle: (_request, response) => response.end(JSON.stringify(Object.fromEntries(orders))),
    stop: () => {
      clearInterval(timer);
      tidemark.close();
    },
  };
}
