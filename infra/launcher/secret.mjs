import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure } from './failure.mjs';

const SECRET_BYTES = 32;

/** @param {string} folder */
export function secretFile(folder) {
  return join(folder, 'token-secret');
}

/** Creates the secret that signs tokens, unless there is one. @param {string} folder */
export function createSecret(folder) {
  const file = secretFile(folder);
  if (readSecret(folder) !== undefined) return;
  // Written to another name and renamed, so that a crash leaves no half-written secret.
  const aside = `${file}.${process.pid}`;
  writeFileSync(aside, `${randomBytes(SECRET_BYTES).toString('base64url')}\n`, { mode: 0o600 });
  renameSync(aside, file);
}

/** @param {string} folder @returns {string | undefined} `undefined`: there is none yet */
function readSecret(folder) {
  try {
    return readFileSync(secretFile(folder), 'utf8').trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new Failure(`The secret ${secretFile(folder)} cannot be read (${codeOf(error)}).`);
  }
}

/**
 * The secret that the services use: that of the environment, otherwise the created one.
 *
 * @param {NodeJS.ProcessEnv} environment @param {string} folder
 */
export function currentSecret(environment, folder) {
  if (environment.TIDEMARK_TOKEN_SECRET) return environment.TIDEMARK_TOKEN_SECRET;
  const file = environment.TIDEMARK_TOKEN_SECRET_FILE;
  if (!file) {
    const secret = readSecret(folder);
    if (secret !== undefined) return secret;
    throw new Failure(`There is no secret in ${folder} yet; \`npm start\` creates it.`);
  }
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Failure(`TIDEMARK_TOKEN_SECRET_FILE=${file} cannot be read (${codeOf(error)}).`);
  }
}
