import { randomBytes } from 'node:crypto';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure } from './failure.mjs';

const SECRET_BYTES = 32;

/** @param {string} folder */
export function secretFile(folder) {
  return join(folder, 'token-secret');
}

/** Creates the secret that signs tokens, unless there is one. @param {string} folder */
export function createSecret(folder) {
  createSecretFile(secretFile(folder));
}

/**
 * Creates a file with a random secret, which only its owner can read, unless there is one.
 *
 * @param {string} file
 * @returns {string} what it holds
 */
export function createSecretFile(file) {
  const known = readSecretFile(file);
  if (known !== undefined) return known;
  // Written to another name and renamed, so that a crash leaves no half-written secret.
  const aside = `${file}.${process.pid}`;
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  rmSync(aside, { force: true });
  writeFileSync(aside, `${secret}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(aside, file);
  return secret;
}

/** @param {string} file @returns {string | undefined} `undefined`: there is none yet */
export function readSecretFile(file) {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new Failure(`The secret ${file} cannot be read (${codeOf(error)}).`);
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
    const secret = readSecretFile(secretFile(folder));
    if (secret !== undefined) return secret;
    throw new Failure(`There is no secret in ${folder} yet; \`npm start\` creates it.`);
  }
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new Failure(`TIDEMARK_TOKEN_SECRET_FILE=${file} cannot be read (${codeOf(error)}).`);
  }
}
