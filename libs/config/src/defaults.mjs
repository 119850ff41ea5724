/*
 * Defaults and versions that the launcher needs too. It runs before anything is installed or built; so this
 * file is plain JavaScript and imports nothing.
 */

/** The ports on which the services answer clients. */
export const SERVICE_PORTS = { gateway: 8080, ingest: 8081, replay: 8082 };

export const NATS_PORT = 4222;

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
