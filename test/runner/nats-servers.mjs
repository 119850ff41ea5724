import {
  builtWithGo,
  cached,
  configured,
  DEBIAN,
  fromDebian,
  NEWEST,
  onPath,
  provideNatsServer,
} from '../../infra/launcher/nats-server.mjs';

/** @typedef {import('../../infra/launcher/nats-server.mjs').NatsServer} NatsServer */

/**
 * Finds or provides the two servers that the tests run against: the newest, and Debian's.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 * @returns {Promise<{ newest: NatsServer, old: NatsServer | undefined }>} `old` is `undefined` where
 *   Debian's cannot be had, and the same as `newest` where there is no other
 */
export async function provideTestServers(environment, say) {
  const path = await onPath(environment);
  const newest =
    (await configured(environment)) ??
    (path && !isDebian(path) ? path : undefined) ??
    (await cached(environment, NEWEST)) ??
    (await builtWithGo(environment, say)) ??
    (await provideNatsServer(environment, say));
  if (isDebian(newest)) return { newest, old: newest };
  const old = path && isDebian(path) ? path : await fromDebian(environment, say);
  return { newest, old };
}

/** @param {NatsServer} server */
function isDebian(server) {
  return server.version === DEBIAN;
}
