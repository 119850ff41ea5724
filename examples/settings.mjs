import { dataFolder, reachableHost, servicePort } from '../infra/launcher/settings.mjs';
import { makeToken } from '../infra/launcher/token.mjs';

const TOKEN_TTL_SECONDS = 24 * 3600;

/**
 * @typedef {object} Settings
 * @property {string} gateway base URLs of the three services, without a slash at the end
 * @property {string} ingest
 * @property {string} replay
 * @property {string} token
 */

/**
 * What the examples talk to: GATEWAY_URL, INGEST_URL, REPLAY_URL and TOKEN, or else what `npm start` runs.
 *
 * @param {string} scope what the token may do, where one has to be made
 * @param {string} [subject] whose it is
 * @returns {Promise<Settings>}
 */
export async function readSettings(scope, subject = 'example') {
  const environment = process.env;
  /** @param {import('../infra/launcher/settings.mjs').ServiceName} service */
  const url = (service) => {
    const given = environment[`${service.toUpperCase()}_URL`];
    const own = `http://${reachableHost(environment)}:${servicePort(environment, service)}`;
    return (given || own).replace(/\/$/, '');
  };
  const folder = dataFolder(environment);
  const made = { environment, folder, subject, scope, ttlSeconds: TOKEN_TTL_SECONDS };
  return {
    gateway: url('gateway'),
    ingest: url('ingest'),
    replay: url('replay'),
    token: environment.TOKEN || (await makeToken(made)),
  };
}
