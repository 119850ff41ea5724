import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { codeOf, Failure } from './failure.mjs';

const ROOT_USER = 0;

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
    // Removed and made anew: it may be a link that somebody has left.
    rmSync(probe, { force: true });
    writeFileSync(probe, '', { flag: 'wx' });
    rmSync(probe);
  } catch (error) {
    throw new Failure(`The folder ${folder} cannot be written (${codeOf(error)}); ${remedy}.`);
  }
}

/**
 * Creates a folder for data where it is missing, and lets nobody but its owner look into it. A folder in which
 * another user could write before is refused where that user has left something: a secret, an archive or a link.
 *
 * @param {string} folder
 * @param {string} remedy what to do where that fails
 * @param {number} [user] who may own what is there, besides root; the user of this process if absent
 */
export function makePrivate(folder, remedy, user = process.getuid?.() ?? ROOT_USER) {
  try {
    makeFolder(folder);
    requireOwner(folder, statSync(folder), { user, remedy });
    requireOwner(folder, lstatSync(folder), { user, remedy });
    readdirSync(folder);
    chmodSync(folder, 0o700);
    // Read again, since nobody adds anything from now on.
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      requireOwner(path, lstatSync(path), { user, remedy });
    }
  } catch (error) {
    if (error instanceof Failure) throw error;
    throw new Failure(`The folder ${folder} cannot be written (${codeOf(error)}); ${remedy}.`);
  }
  makeWritable(folder, remedy);
}

/**
 * Root is trusted, and trusts everybody: it could not use the folders of others otherwise.
 *
 * @param {string} path
 * @param {import('node:fs').Stats} stats
 * @param {{ user: number, remedy: string }} options
 */
function requireOwner(path, { uid }, { user, remedy }) {
  if (user === ROOT_USER || uid === user || uid === ROOT_USER) return;
  throw new Failure(`${path} belongs to another user (${uid}); ${remedy}.`);
}

/** Not `recursive: true`: where /proc refuses a folder, that never ends (seen up to Node 26). */
function makeFolder(/** @type {string} */ folder) {
  if (existsSync(folder)) return;
  // The root of a Windows drive that is not there is its own parent.
  if (dirname(folder) !== folder) makeFolder(dirname(folder));
  mkdirSync(folder);
}
