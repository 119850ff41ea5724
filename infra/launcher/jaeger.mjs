import { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { run } from './command.mjs';
import { Failure } from './failure.mjs';
import { cacheFolder } from './nats-server.mjs';

/** The release whose module holds Jaeger v2: its program counts from 2, its module from 1. */
export const JAEGER_VERSION = '1.76.0';

const EXECUTABLE = process.platform === 'win32' ? 'jaeger.exe' : 'jaeger';

/**
 * Finds a Jaeger: the configured one, one on the PATH, or one that the tests built before. It builds
 * none, because `npm start` works without.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<string | undefined>} its path
 */
export async function findJaeger(environment) {
  const configured = environment.TIDEMARK_JAEGER_BIN;
  if (configured) {
    if (await isJaeger(configured)) return configured;
    throw new Failure(`TIDEMARK_JAEGER_BIN=${configured} is not a Jaeger v2 that runs here.`);
  }
  const folders = (environment.PATH ?? '').split(delimiter).filter((folder) => folder !== '');
  const onPath = folders.map((folder) => join(folder, EXECUTABLE));
  for (const path of [...onPath, cachedJaeger(environment)]) {
    if (existsSync(path) && (await isJaeger(path))) return path;
  }
  return undefined;
}

/**
 * Where the tests keep the Jaeger that they built.
 *
 * @param {NodeJS.ProcessEnv} environment
 */
export function cachedJaeger(environment) {
  return join(dirname(cacheFolder(environment)), 'jaeger', JAEGER_VERSION, EXECUTABLE);
}

/** @param {string} path */
async function isJaeger(path) {
  const { ok, output } = await run(path, ['version']);
  return ok && /gitCommit|version/i.test(output);
}
