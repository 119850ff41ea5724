import { randomBytes } from 'node:crypto';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { INGEST_API, JETSTREAM_API } from '../../libs/config/src/defaults.mjs';
import { Failure } from './failure.mjs';
import { createSecretFile } from './secret.mjs';
import { SERVICES } from './settings.mjs';

const PASSWORD_BYTES = 32;

/** The account of infra/nats/users.conf that has the streams. */
const ACCOUNT = 'TIDEMARK';

/** The account of a server that has no users. */
const GLOBAL_ACCOUNT = '$G';

/** The user of who may do everything with the streams. */
export const OPERATOR = 'tidemark-operator';

/**
 * The users at the NATS that the launcher runs. The services' passwords live as long as the launcher does;
 * the operator's is in a file, which only the owner of the folder can read.
 *
 * @typedef {object} NatsUsers
 * @property {Record<string, string>} server environment of nats-server
 * @property {(ports: readonly number[]) => Record<string, string>} routes further environment of a server
 *   that is one of several; ports at which it reaches the others
 * @property {(service: import('./settings.mjs').ServiceName) => Record<string, string>} of
 *   environment of a service
 */

/** The file with the operator's password. @param {string} folder for the data */
export function operatorFile(folder) {
  return join(folder, 'nats-operator-password');
}

/** @param {string} folder for the data @returns {NatsUsers} */
export function createNatsUsers(folder) {
  /** @type {Record<string, string>} */
  const passwords = { operator: createSecretFile(operatorFile(folder)) };
  for (const name of [...SERVICES, 'route']) passwords[name] = newPassword();
  return {
    server: Object.fromEntries(
      Object.entries(passwords).map(([name, password]) => [
        `TIDEMARK_NATS_${name.toUpperCase()}_PASSWORD`,
        quoted(password),
      ]),
    ),
    routes: (ports) => ({
      TIDEMARK_NATS_ROUTES: JSON.stringify(
        ports.map((port) => `nats://tidemark-route:${passwords.route}@127.0.0.1:${port}`),
      ),
    }),
    of: (service) => ({
      TIDEMARK_NATS_USER: `tidemark-${service}`,
      TIDEMARK_NATS_PASSWORD: passwords[service] ?? '',
      // A password file of the environment would contradict this password.
      TIDEMARK_NATS_PASSWORD_FILE: '',
      TIDEMARK_NATS_API_PREFIX: service === 'ingest' ? INGEST_API : JETSTREAM_API,
    }),
  };
}

/**
 * Gives the streams of a server that had no accounts to the account that has them now. The server must not
 * run.
 *
 * @param {string} store folder of the server
 */
export function adoptStreams(store) {
  const [old, present] = streamFolders(store);
  if (existsSync(old) && !existsSync(present)) renameSync(old, present);
}

/**
 * Refuses the streams of a cluster that had no accounts: which server has which stream is noted elsewhere
 * too, with the account.
 *
 * @param {string} store folder of one server
 * @param {string} folder for the data of the cluster
 */
export function refuseStreams(store, folder) {
  const [old, present] = streamFolders(store);
  if (!existsSync(old) || existsSync(present)) return;
  throw new Failure(
    `${folder} is of an earlier version, whose NATS had no users. Back it up with that version, remove it, start again and restore the backup; or remove it.`,
  );
}

/** @param {string} store @returns {[old: string, present: string]} */
function streamFolders(store) {
  const base = join(store, 'jetstream');
  return [join(base, GLOBAL_ACCOUNT), join(base, ACCOUNT)];
}

function newPassword() {
  return randomBytes(PASSWORD_BYTES).toString('hex');
}

/** Otherwise the server would read some passwords as numbers. @param {string} password */
function quoted(password) {
  return JSON.stringify(password);
}
