import { isAbsolute, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { codeOf, Failure } from '../launcher/failure.mjs';
import { dataFolder } from '../launcher/settings.mjs';

/**
 * Reads the arguments of a command. With `help` among them it prints the usage.
 *
 * @template {import('node:util').ParseArgsConfig['options'] & object} T
 * @param {T} options
 * @param {string} usage
 */
export function readArguments(options, usage) {
  try {
    const { values } = parseArgs({ options });
    if ('help' in values && values.help) console.log(usage);
    return values;
  } catch (error) {
    throw new Failure(`${error instanceof Error ? error.message : error}\n\n${usage}`);
  }
}

/** @param {string} path relative to the folder in which the user has typed it */
export function fromCaller(path) {
  return resolve(process.env.INIT_CWD ?? '.', path);
}

/**
 * The file of the archive: the one that is named, or that of replay in this environment.
 *
 * @param {string | undefined} named
 * @param {NodeJS.ProcessEnv} environment
 */
export function archivePath(named, environment) {
  if (named) return fromCaller(named);
  const path = environment.TIDEMARK_REPLAY_DATABASE || join(dataFolder(environment), 'archive.db');
  return isAbsolute(path) ? path : resolve(path);
}

/**
 * Loads what needs the build and the packages.
 *
 * @template T
 * @param {() => Promise<T>} load
 * @returns {Promise<T>}
 */
export async function loadBuilt(load) {
  try {
    return await load();
  } catch (error) {
    if (codeOf(error) !== 'ERR_MODULE_NOT_FOUND') throw error;
    throw new Failure('The build is missing; `npm start` or `npm ci && npm run build` makes it.');
  }
}
