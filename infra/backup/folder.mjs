import { createHash } from 'node:crypto';
import { createReadStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf, Failure } from '../launcher/failure.mjs';

const MANIFEST = 'manifest.json';
const RESTORED = 'restored.json';
const FORMAT = 1;

/** The archive in a folder. */
export const ARCHIVE_FILE = 'archive.db';

/** @typedef {import('@tidemark/protocol').Lineage} Lineage */
/** @typedef {import('./stream-snapshot.mjs').StreamSnapshot} StreamSnapshot */

/**
 * What a backup is made of, in `manifest.json`. A folder with it is complete.
 *
 * @typedef {object} Manifest
 * @property {number} format
 * @property {string} createdAt
 * @property {string} natsServer the version that wrote the snapshots
 * @property {Lineage} lineage of the log
 * @property {StreamSnapshot[]} streams
 * @property {import('./archive-file.mjs').ArchivePosition} [archive]
 */

/** @param {string} folder @param {Omit<Manifest, 'format'>} manifest */
export function writeManifest(folder, manifest) {
  const text = JSON.stringify({ format: FORMAT, ...manifest }, undefined, 2);
  writeFileSync(join(folder, MANIFEST), `${text}\n`);
}

/** @param {string} folder @returns {Manifest} */
export function readManifest(folder) {
  let manifest;
  try {
    manifest = JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8'));
  } catch (error) {
    throw new Failure(
      `${folder} is no complete backup: ${MANIFEST} ${codeOf(error) ?? 'is broken'}.`,
    );
  }
  if (manifest.format === FORMAT) return manifest;
  throw new Failure(
    `The backup ${folder} has the format ${manifest.format}, and this is ${FORMAT}.`,
  );
}

/** Compares the snapshots with the manifest. @param {string} folder @param {Manifest} manifest */
export async function checkFiles(folder, { streams, archive }) {
  for (const { file, sha256 } of streams) {
    const path = join(folder, file);
    if (!existsSync(path)) throw new Failure(`The backup lacks its file ${path}.`);
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(path)) hash.update(chunk);
    if (hash.digest('hex') !== sha256) throw new Failure(`${path} has been changed or is damaged.`);
  }
  const path = join(folder, ARCHIVE_FILE);
  if (archive && !existsSync(path)) throw new Failure(`The backup lacks its file ${path}.`);
}

/** The epochs in which the log went on from this backup before. @param {string} folder @returns {Lineage[]} */
export function readRestored(folder) {
  const path = join(folder, RESTORED);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [];
}

/**
 * Notes that the log goes on from this backup, for the case that it is restored again.
 *
 * @param {string} folder
 * @param {Lineage} lineage
 */
export function noteRestored(folder, lineage) {
  const text = JSON.stringify([...readRestored(folder), lineage], undefined, 2);
  try {
    writeFileSync(join(folder, RESTORED), `${text}\n`);
  } catch (error) {
    console.error(
      `tidemark: ${folder} cannot be written (${codeOf(error)}): if the same backup is restored again, clients of the time between start over.`,
    );
  }
}
