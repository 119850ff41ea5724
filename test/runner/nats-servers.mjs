import {
  builtWithGo,
  cached,
  configured,
  NEWEST,
  provideNatsServer,
} from '../../infra/launcher/nats-server.mjs';
import { OLDEST_NATS_SERVER } from '../../libs/config/src/defaults.mjs';

/** @typedef {import('../../infra/launcher/nats-server.mjs').NatsServer} NatsServer */

/**
 * Finds or provides the two servers that the tests run against: the newest, and the oldest that is
 * supported.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {(text: string) => void} say
 * @returns {Promise<{ newest: NatsServer, oldest: NatsServer | undefined }>} `oldest` is `undefined`
 *   where it cannot be had
 */
export async function provideTestServers(environment, say) {
  const newest =
    (await configured(environment)) ??
    (await cached(environment, NEWEST)) ??
    (await builtWithGo(environment, say)) ??
    (await provideNatsServer(environment, say));
  const oldest =
    (await cached(environment, OLDEST_NATS_SERVER)) ??
    (await builtWithGo(environment, say, OLDEST_NATS_SERVER));
  return { newest, oldest };
}
