import { cachedJaeger } from './jaeger.mjs';
import { reachableHost } from './settings.mjs';

/* What lets the page of the console reach all services of this machine. */

/**
 * The settings of services so that the page of the console may use all of them. Where the environment names origins, those
 * of the page are added.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {{ page: number, replay?: number }} ports of the page, and of replay where the page does not reach it there
 * @returns {{ gateway: Record<string, string>, replay: Record<string, string> }}
 */
export function consoleSettings(environment, { page, replay }) {
  const host = reachableHost(environment);
  const own = [`http://${host}:${page}`, ...loopbackOrigins(page)];
  const named = environment.TIDEMARK_ALLOWED_ORIGINS?.trim();
  const origins = {
    TIDEMARK_ALLOWED_ORIGINS: [...new Set([...(named ? [named] : []), ...own])].join(','),
  };
  if (replay === undefined) return { gateway: named ? origins : {}, replay: named ? origins : {} };
  return {
    gateway: {
      TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL:
        environment.TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL || `http://${host}:${replay}`,
      // Without a list a gateway takes any page that has a token.
      ...(named && origins),
    },
    replay: origins,
  };
}

/**
 * Where a gateway finds the traces, and where people do. A Jaeger that the tests built has no pages, and shows a trace as
 * JSON.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @param {string} binary of the Jaeger
 * @param {number} port
 */
export function traceSettings(environment, binary, port) {
  const url = `http://127.0.0.1:${port}`;
  return {
    TIDEMARK_GATEWAY_JAEGER_URL: url,
    TIDEMARK_GATEWAY_JAEGER_PAGE: `${url}${binary === cachedJaeger(environment) ? '/api/traces' : '/trace'}`,
  };
}

/** A browser's two names of this machine. @param {number} port */
function loopbackOrigins(port) {
  return ['127.0.0.1', 'localhost'].map((host) => `http://${host}:${port}`);
}
