import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, extname } from 'node:path';
import { ConfigurationError } from '@tidemark/config';
import type { Logger } from '@tidemark/telemetry';
import Database from 'better-sqlite3';
import {
  APPLICATION_ID,
  IDENTITY_TABLE,
  PRAGMAS,
  SCHEMA,
  SCHEMA_VERSION,
  UPGRADES,
} from './schema.ts';

/** Files that SQLite keeps beside a database which was not closed. */
export const COMPANIONS = ['-wal', '-shm'] as const;

const SET_ASIDE_MAX = 1000;

/** SQLite's name for a database without a file, which tests use. */
const IN_MEMORY = ':memory:';

/** An archive holds every event, so nobody but its owner may read it. */
const FILE_MODE = 0o600;
const FOLDER_MODE = 0o700;

/**
 * Opens an archive's file. It creates the file and its folder where they are missing, and upgrades a file
 * of an earlier schema version. Only the owner can read what it creates, or files that it owns. A file of a
 * later version, or one that SQLite finds damaged, is set aside and a new one begun.
 *
 * @throws ConfigurationError when the file cannot be written or belongs to another program
 */
export function openDatabase(path: string, logger: Logger): Database.Database {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE });
    return openChecked(path, logger);
  } catch (error) {
    if (error instanceof ConfigurationError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (meansDamage(code)) {
      const kept = setAside(path, 'damaged');
      logger.error(
        { path, kept, reason: message },
        'the archive is damaged: a new one gets what the stream and other archives hold',
      );
      return openChecked(path, logger);
    }
    throw refused(path, `cannot be opened for writing (${message})`);
  }
}

/**
 * Renames the file of a closed database to `<name>.<label>.db`, so that the operator still has it.
 *
 * @returns its new path
 */
export function setAside(path: string, label: string): string {
  const extension = extname(path);
  const stem = path.slice(0, path.length - extension.length);
  for (let count = 1; count <= SET_ASIDE_MAX; count++) {
    const kept = `${stem}.${label}${count === 1 ? '' : `-${count}`}${extension || '.db'}`;
    if (existsSync(kept)) continue;
    renameSync(path, kept);
    for (const companion of COMPANIONS) moveIfPresent(path + companion, kept + companion);
    return kept;
  }
  throw refused(path, `was set aside ${SET_ASIDE_MAX} times: remove the old files`);
}

/**
 * Whether a database that this process has closed is open in another one, such as that of a backup: whoever closes it last
 * removes the write-ahead log.
 */
export function isOpenElsewhere(path: string): boolean {
  return existsSync(`${path}-wal`);
}

/**
 * Puts the file of a database in the place of another one. Both are closed and have no write-ahead log. At any moment the
 * name belongs to one of them, whole.
 */
export function replaceFile(from: string, to: string): void {
  renameSync(from, to);
  // Before anything is written: after a power cut the log of the new file must not meet the old one.
  const folder = openSync(dirname(to), 'r');
  fsyncSync(folder);
  closeSync(folder);
}

/** The name of the file, which it gets once. Files of an earlier version have none yet. */
export function readIdentity(database: Database.Database): string {
  const known = database.prepare("SELECT 1 FROM sqlite_schema WHERE name = 'identity'").get();
  if (!known) {
    database.transaction(() => {
      database.exec(IDENTITY_TABLE);
      const id = randomBytes(8).toString('hex');
      database.prepare('INSERT INTO identity (one, id) VALUES (1, ?)').run(id);
    })();
  }
  return database.prepare<[], string>('SELECT id FROM identity').pluck().get() ?? '';
}

/** Gives a file the name of another one, whose place it takes. */
export function writeIdentity(database: Database.Database, id: string): void {
  database.prepare('UPDATE identity SET id = ?').run(id);
}

function openChecked(path: string, logger: Logger): Database.Database {
  removeStrayCompanions(path);
  keepPrivate(path);
  const database = new Database(path);
  try {
    const applicationId = database.pragma('application_id', { simple: true });
    const tables = database.prepare('SELECT count(*) FROM sqlite_schema').pluck().get();
    if (applicationId !== APPLICATION_ID && tables !== 0) {
      throw refused(path, 'is a database of another program');
    }
    if (tables !== 0) upgrade(database, logger);
    const version = database.pragma('user_version', { simple: true });
    if (tables !== 0 && version !== SCHEMA_VERSION) {
      database.close();
      const kept = setAside(path, `schema-${version}`);
      logger.warn(
        { path, kept, found: version, needed: SCHEMA_VERSION },
        'the archive has another schema version: a new one gets what the stream and other archives hold',
      );
      return openChecked(path, logger);
    }
    for (const pragma of PRAGMAS) database.pragma(pragma);
    if (tables === 0) database.transaction(() => database.exec(SCHEMA))();
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Upgrades a file of an earlier version, as far as there are upgrades. Each is one transaction. */
function upgrade(database: Database.Database, logger: Logger): void {
  for (;;) {
    const version = Number(database.pragma('user_version', { simple: true }));
    const statements = UPGRADES[version];
    if (statements === undefined) return;
    database.transaction(() => database.exec(statements)).immediate();
    logger.info({ from: version, to: version + 1 }, 'the archive was upgraded');
  }
}

/**
 * Deletes a write-ahead log without a database. When someone deletes only the `.db` file of a
 * process that was killed, SQLite would otherwise apply the old log to the new file.
 */
function removeStrayCompanions(path: string): void {
  if (existsSync(path)) return;
  for (const companion of COMPANIONS) rmSync(path + companion, { force: true });
}

/** SQLite gives the files beside a database the permissions of that. */
function keepPrivate(path: string): void {
  if (path === IN_MEMORY) return;
  closeSync(openSync(path, 'a', FILE_MODE));
  for (const file of [path, ...COMPANIONS.map((companion) => path + companion)]) {
    try {
      if (existsSync(file)) chmodSync(file, FILE_MODE);
    } catch (error) {
      // Somebody else owns the file, and has decided who may read it.
      if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    }
  }
}

function moveIfPresent(from: string, to: string): void {
  if (existsSync(from)) renameSync(from, to);
}

function meansDamage(code: string | undefined): boolean {
  return code?.startsWith('SQLITE_CORRUPT') ?? false;
}

function refused(path: string, fault: string): ConfigurationError {
  return new ConfigurationError([`TIDEMARK_REPLAY_DATABASE=${path} ${fault}`]);
}
