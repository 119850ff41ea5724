import './node-version.mjs';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { parseDuration } from './duration.mjs';
import { codeOf, Failure, runMain } from './failure.mjs';
import { currentSecret } from './secret.mjs';
import { dataFolder } from './settings.mjs';

const USAGE = `npm run --silent token -- --sub <user> --scope "<permissions>" [--ttl 1h]

Prints only a token, which the services of this checkout accept.

  --sub    the user, such as alice
  --scope  permissions with spaces between, such as "subscribe:orders.> publish:orders.>"
  --ttl    how long it is valid: 90s, 15m, 1h (the default), 30d`;

/**
 * @typedef {object} TokenRequest
 * @property {NodeJS.ProcessEnv} environment
 * @property {string} folder for the data
 * @property {string} subject
 * @property {string} scope
 * @property {number} ttlSeconds
 */

/** @param {TokenRequest} request @returns {Promise<string>} */
export async function makeToken({ environment, folder, subject, scope, ttlSeconds }) {
  const { TIDEMARK_TOKEN_ISSUER: issuer, TIDEMARK_TOKEN_AUDIENCE: audience } = environment;
  const { signToken } = await import('@tidemark/auth').catch((error) => {
    if (codeOf(error) !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Failure('The build is missing; `npm start` makes it.');
  });
  return signToken({
    secret: currentSecret(environment, folder),
    subject,
    scope,
    ttlSeconds,
    ...(issuer ? { issuer } : {}),
    ...(audience ? { audience } : {}),
  });
}

async function main() {
  const { sub, scope, ttl, help } = readArguments();
  if (help) {
    console.log(USAGE);
    return;
  }
  if (!sub || !scope) throw new Failure(`--sub and --scope are needed.\n\n${USAGE}`);
  const environment = process.env;
  const token = await makeToken({
    environment,
    folder: dataFolder(environment),
    subject: sub,
    scope,
    ttlSeconds: parseDuration(ttl),
  });
  console.log(token);
}

function readArguments() {
  try {
    return parseArgs({
      options: {
        sub: { type: 'string' },
        scope: { type: 'string' },
        ttl: { type: 'string', default: '1h' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw new Failure(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
