import '../launcher/node-version.mjs';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { codeOf, Failure, runMain } from '../launcher/failure.mjs';
import { archivePath, fromCaller, loadBuilt, readArguments } from './arguments.mjs';
import { ARCHIVE_FILE, writeManifest } from './folder.mjs';

const USAGE = `npm run backup -- --to <folder> [--archive <file>] [--without-archive]

Copies the stream, the revocations and the archive into a new folder, while everything runs.

  --to               a folder that does not exist yet, or is empty
  --archive          the archive of a replay service; TIDEMARK_REPLAY_DATABASE if absent
  --without-archive  only the stream and the revocations

NATS_URL, TIDEMARK_NATS_USER and TIDEMARK_NATS_PASSWORD name the server and a user like tidemark-operator.`;

/**
 * @typedef {object} BackupRequest
 * @property {NodeJS.ProcessEnv} environment
 * @property {string} folder
 * @property {string | undefined} archive its file
 */

/** @param {BackupRequest} request */
export async function backUp({ environment, folder, archive }) {
  if (existsSync(folder) && readdirSync(folder).length > 0) {
    throw new Failure(`${folder} is not empty.`);
  }
  const { connectToNats } = await loadBuilt(() => import('./jetstream.mjs'));
  const connection = await connectToNats(environment);
  const partial = `${folder}.partial`;
  try {
    makeFolder(partial);
    await fill(partial, { connection, archive });
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  } finally {
    await connection.close();
  }
}

/** @param {string} folder */
function makeFolder(folder) {
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(dirname(folder), { recursive: true });
    mkdirSync(folder);
  } catch (error) {
    throw new Failure(`The folder ${folder} cannot be written (${codeOf(error)}).`);
  }
}

/**
 * @param {string} folder
 * @param {{ connection: import('./jetstream.mjs').NatsConnection, archive: string | undefined }} sources
 */
async function fill(folder, { connection, archive }) {
  const { EVENTS, REVOCATIONS, streamInfo } = await import('./jetstream.mjs');
  const { takeSnapshot } = await import('./stream-snapshot.mjs');
  const { copyArchive } = await import('./archive-file.mjs');
  const { readLineage } = await import('@tidemark/nats');
  const createdAt = new Date().toISOString();
  // Before the stream, so that the stream has all that the archive lacks.
  const position = archive ? await copyArchive(archive, join(folder, ARCHIVE_FILE)) : undefined;
  const streams = [];
  for (const name of [REVOCATIONS, EVENTS]) {
    const info = await streamInfo(connection, name);
    if (!info) throw new Failure(`There is no stream ${name} at this NATS.`);
    const file = `${name}.snapshot`;
    const snapshot = await takeSnapshot(connection, name, join(folder, file));
    streams.push({ file, created: info.created, ...snapshot });
  }
  const events = /** @type {typeof streams[number]} */ (streams.at(-1));
  if (position && events.state.first_seq > position.lastSequence + 1) {
    throw new Failure(
      'Retention removed events from the stream before the archive had them; repeat the backup when replay is current, or with longer retention.',
    );
  }
  writeManifest(folder, {
    createdAt,
    natsServer: connection.info?.version ?? '',
    lineage: readLineage(events.config.metadata, Date.parse(events.created)),
    streams,
    ...(position && { archive: position }),
  });
}

async function main() {
  const {
    to,
    archive,
    'without-archive': without,
    help,
  } = readArguments(
    {
      to: { type: 'string' },
      archive: { type: 'string' },
      'without-archive': { type: 'boolean' },
      help: { type: 'boolean' },
    },
    USAGE,
  );
  if (help) return;
  if (!to) throw new Failure(`--to is needed.\n\n${USAGE}`);
  const environment = process.env;
  const folder = fromCaller(to);
  await backUp({
    environment,
    folder,
    archive: without ? undefined : archivePath(archive, environment),
  });
  console.log(`The backup is in ${folder}.`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
