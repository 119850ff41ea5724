import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf, Failure } from './failure.mjs';

/**
 * Creates a folder where it is missing, and tests that a file can be written into it.
 *
 * @param {string} folder
 * @param {string} remedy what to do where that fails
 */
export function makeWritable(folder, remedy) {
  const probe = join(folder, `.writable-${process.pid}`);
  try {
    makeFolder(folder);
    writeFileSync(probe, '');
    rmSync(probe);
  } catch (error) {
    throw new Failure(`The folder ${folder} cannot be written (${codeOf(error)}); ${remedy}.`);
  }
}

/**
 * Creates a folder for data where it is missing, and lets nobody but its owner look into it.
 *
 * @param {string} folder
 * @param {string} remedy what to do where that fails
 */
export function makePrivate(folder, remedy) {
  makeWritable(folder, remedy);
  try {
    chmodSync(folder, 0o700);
  } catch (error) {
    throw new Failure(
      `The folder ${folder} belongs to another user (${codeOf(error)}); ${remedy}.`,
    );
  }
}

/** Not `recursive: true`: where /proc refuses a folder, that never ends (seen up to Node 26). */
function makeFolder(/** @type {string} */ folder) {
  if (existsSync(folder)) return;
  // The root of a Windows drive that is not there is its own parent.
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  mkdirSync(folder);
}
