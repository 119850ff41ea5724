import { randomBytes } from 'node:crypto';
import { SERVICES } from './settings.mjs';

const PASSWORD_BYTES = 32;

/**
 * The users at the NATS server that `npm start` runs, with passwords that live as long as that does.
 *
 * @typedef {object} NatsUsers
 * @property {Record<string, string>} server environment of nats-server
 * @property {(service: import('./settings.mjs').ServiceName) => Record<string, string>} of
 *   environment of a service
 */

/** @returns {NatsUsers} */
export function createNatsUsers() {
  /** @type {Record<string, string>} */
  const passwords = {};
  for (const name of [...SERVICES, 'operator']) {
    passwords[name] = randomBytes(PASSWORD_BYTES).toString('hex');
  }
  return {
    // Quoted, because the server would read some of them as numbers.
    server: Object.fromEntries(
      Object.entries(passwords).map(([name, password]) => [
        `TIDEMARK_NATS_${name.toUpperCase()}_PASSWORD`,
        JSON.stringify(password),
      ]),
    ),
    of: (service) => ({
      TIDEMARK_NATS_USER: `tidemark-${service}`,
      TIDEMARK_NATS_PASSWORD: passwords[service] ?? '',
      // A password file of the environment would contradict this password.
      TIDEMARK_NATS_PASSWORD_FILE: '',
    }),
  };
}
