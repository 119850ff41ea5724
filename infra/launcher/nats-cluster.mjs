import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from './checkout.mjs';

/** The servers that infra/nats/cluster.conf names. */
export const NATS_NODES = /** @type {const} */ (['nats-1', 'nats-2', 'nats-3']);

/**
 * @typedef {object} NatsNode
 * @property {string} store folder
 * @property {number} listen port for the routes of the others
 * @property {number} monitor port of its health
 */

/**
 * The shipped configuration of one server, with other addresses and folders: all three share one
 * machine here. `NATS_NAME` names the server.
 *
 * @param {NatsNode} node
 */
export function clusterConfiguration({ store, listen, monitor }) {
  return readWhole(join(ROOT, 'infra', 'nats', 'cluster.conf'))
    .replace('store_dir: /data', `store_dir: ${JSON.stringify(store)}`)
    .replace('0.0.0.0:6222', `127.0.0.1:${listen}`)
    .replace('http: 8222', `http: "127.0.0.1:${monitor}"`);
}

/** A configuration file with the files that it includes. @param {string} file @returns {string} */
function readWhole(file) {
  return readFileSync(file, 'utf8').replace(
    /^ *include "(.*)"$/gm,
    (_, /** @type {string} */ path) => readWhole(join(dirname(file), path)),
  );
}
