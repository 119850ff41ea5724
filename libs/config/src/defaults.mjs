/*
 * Defaults and versions that the launcher needs too. It runs before anything is installed or built; so this
 * file is plain JavaScript and imports nothing.
 */

/** The ports on which the services answer clients. */
export const SERVICE_PORTS = { gateway: 8080, ingest: 8081, replay: 8082 };

export const NATS_PORT = 4222;

/** What the subjects of the JetStream API begin with, in the account that has the streams. */
export const JETSTREAM_API = '$JS.API';

/** What they begin with in the account of ingest, as infra/nats/users.conf imports them. */
export const INGEST_API = 'tidemark.api';

/** The first of the ports of `npm run start:cluster`, which follow one another. */
export const CLUSTER_PORT = 8100;

/** The port of Jaeger's pages and of its API. */
export const JAEGER_PORT = 16686;

/** The host on which services listen. */
export const HOST = '127.0.0.1';

/** The folder for the data of `npm start`, in the checkout. */
export const DATA_FOLDER = 'data';

/**
 * Services and launcher refuse an older nats-server. 2.12 is the first whose JetStream refuses a
 * request with a field that it does not know, in the place of ignoring it.
 */
export const OLDEST_NATS_SERVER = '2.12.0';

/**
 * Says why a nats-server cannot be used.
 *
 * @param {string} version such as `2.9.10`
 * @returns {string | undefined} `undefined` for a version that is supported
 */
export function natsServerFault(version) {
  if (version.localeCompare(OLDEST_NATS_SERVER, 'en', { numeric: true }) >= 0) return undefined;
  return `nats-server ${version} is too old, Tidemark needs ${OLDEST_NATS_SERVER} or newer`;
}

/**
 * Arguments of Node for each service. Left to itself V8 lets the young generation grow to 32 MiB on Node
 * 22, 128 on Node 24 and 64 on Node 26 before it collects anything: on Node 24 an idle connection then
 * takes 18 KiB in the place of 11. Throughput is the same: 32 and 64 MiB served narrow delivery and publishing no
 * faster than 16 (`npm run bench -- --case narrow,publish`, in turns, 2026-11-28).
 */
export const NODE_ARGUMENTS = ['--max-semi-space-size=16'];
