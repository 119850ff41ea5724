import { existsSync, realpathSync } from 'node:fs';
import { delimiter, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { endOnSignals } from './command.mjs';
import { Failure, runMain } from './failure.mjs';
import { isNewEnough, OLDEST } from './oldest-node.mjs';
import { installOwnNode, isOwnNode, linkOwnNode, unlinkOwnNode, versionOf } from './own-node.mjs';
import { takeSetupLock } from './setup-lock.mjs';

/*
 * The first step of `run`. An old Node can run it. Afterwards the first `node` on the PATH, in
 * node_modules/.bin or of the system, is new enough.
 */

/**
 * Chooses the system's Node, unless that is too old. Then it chooses the Node of the checkout, unless
 * TIDEMARK_NODE=system forbids that.
 *
 * @param {string | undefined} system the version of the system's Node; `undefined`: it has none
 * @param {NodeJS.ProcessEnv} environment
 * @returns {'system' | 'own' | 'none'}
 */
export function chooseNode(system, environment) {
  if (system !== undefined && isNewEnough(system)) return 'system';
  return environment.TIDEMARK_NODE === 'system' ? 'none' : 'own';
}

async function main() {
  const { environment, version } = await systemNode();
  const why = version === undefined ? 'The system has no Node' : `Node ${version} is too old`;
  const choice = chooseNode(version, environment);
  if (choice === 'own') return provideOwnNode(why);
  unlinkOwnNode();
  if (choice === 'none') {
    throw new Failure(
      `${why}, and TIDEMARK_NODE=system forbids another one; install Node ${OLDEST} or newer from https://nodejs.org.`,
    );
  }
}

/** @param {string} why */
async function provideOwnNode(why) {
  const say = (/** @type {string} */ text) => console.error(`tidemark: ${text}`);
  const release = await takeSetupLock(say);
  try {
    await installOwnNode(why, say);
    linkOwnNode();
  } finally {
    await release();
  }
}

/** Finds the system's Node, where the Node of the checkout runs this. */
async function systemNode() {
  const environment = process.env;
  if (!isOwnNode(process.execPath)) return { environment, version: process.versions.node };
  const file = process.platform === 'win32' ? 'node.exe' : 'node';
  const found = (environment.PATH ?? '')
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => resolve(folder, file))
    .find((path) => existsSync(path) && !isOwnNode(realpathSync(path)));
  return { environment, version: found === undefined ? undefined : await versionOf(found) };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  endOnSignals();
  await runMain(main);
}
