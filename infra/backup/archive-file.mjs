import { existsSync, renameSync } from 'node:fs';
import { formatEarlier, parseEarlier } from '@tidemark/protocol';
import Database from 'better-sqlite3';
import { Failure } from '../launcher/failure.mjs';
import { startProgress } from './progress.mjs';

/** `TIDE` in ASCII, as services/replay writes it. */
const APPLICATION_ID = 0x54_49_44_45;

/** 16 MiB, so that the signals of the terminal are seen. */
const PAGES_AT_ONCE = 4096;

/** Files that SQLite keeps beside a database that is in use, or was not closed. */
const COMPANIONS = ['-wal', '-shm'];

/**
 * What an archive holds.
 *
 * @typedef {object} ArchivePosition
 * @property {string} epoch
 * @property {readonly import('@tidemark/protocol').EarlierEpoch[]} earlier
 * @property {number} firstSequence
 * @property {number} lastSequence
 */

/**
 * Copies an archive while replay writes to it. The copy is the archive at one moment.
 *
 * @param {string} path
 * @param {string} target
 * @returns {Promise<ArchivePosition>} what the copy holds
 */
export async function copyArchive(path, target) {
  const progress = startProgress('archive');
  const database = openArchive(path);
  try {
    // The open transaction keeps the copy at one moment. Otherwise it would begin again with each write.
    database.exec('BEGIN');
    const position = readPosition(database);
    if (!position) throw new Failure(`The archive ${path} holds nothing yet.`);
    const { totalPages } = await database.backup(target, {
      progress({ totalPages, remainingPages }) {
        progress.show(`${Math.floor(100 - (100 * remainingPages) / totalPages)} %`);
        return PAGES_AT_ONCE;
      },
    });
    const pageBytes = Number(database.pragma('page_size', { simple: true }));
    progress.end(
      `up to ${position.lastSequence}, ${((totalPages * pageBytes) / 1e6).toFixed(1)} MB`,
    );
    return position;
  } finally {
    database.close();
  }
}

/** @param {string} path @returns {ArchivePosition | undefined} of an archive that has begun */
export function readArchivePosition(path) {
  const database = openArchive(path);
  try {
    return readPosition(database);
  } finally {
    database.close();
  }
}

/**
 * Gives the file of an archive another name, which says when.
 *
 * @param {string} path
 * @returns {string} its new path
 */
export function setAside(path) {
  const kept = `${path}.before-${new Date().toISOString().replace(/[:.]/g, '-')}`;
  renameSync(path, kept);
  for (const companion of COMPANIONS) {
    if (existsSync(path + companion)) renameSync(path + companion, kept + companion);
  }
  return kept;
}

/** @param {string} path */
function openArchive(path) {
  if (!existsSync(path)) throw new Failure(`There is no archive ${path}.`);
  try {
    const database = new Database(path, { readonly: true });
    const id = database.pragma('application_id', { simple: true });
    if (id === APPLICATION_ID) return database;
    database.close();
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new Failure(`The archive ${path} cannot be read (${reason}).`);
  }
  throw new Failure(`${path} is not an archive of Tidemark.`);
}

/** @param {import('better-sqlite3').Database} database @returns {ArchivePosition | undefined} */
function readPosition(database) {
  const row = /** @type {any} */ (database.prepare('SELECT * FROM position').get());
  if (!row) return undefined;
  // A file of schema version 1 has no earlier epochs.
  const { epoch, earlier = formatEarlier([]), first_sequence, sequence } = row;
  return {
    epoch,
    earlier: parseEarlier(earlier),
    firstSequence: first_sequence,
    lastSequence: sequence,
  };
}
