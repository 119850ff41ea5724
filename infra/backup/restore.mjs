import '../launcher/node-version.mjs';
import { copyFileSync, existsSync, mkdirSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Failure, runMain } from '../launcher/failure.mjs';
import { archivePath, fromCaller, loadBuilt, readArguments } from './arguments.mjs';
import { ARCHIVE_FILE, checkFiles, noteRestored, readManifest, readRestored } from './folder.mjs';

const USAGE = `npm run restore -- --from <folder> [--archive <file>] [--keep-archive] [--overwrite] [--replicas <n>]

Makes the stream, the revocations and the archive of a backup the present ones. All replay services must
be stopped. The log goes on in a new epoch: clients at or before the end of the backup go on, and those
beyond it are told what is lost.

  --from          a folder that \`npm run backup\` has made
  --archive       the file that replay will use; TIDEMARK_REPLAY_DATABASE if absent
  --keep-archive  leaves that file as it is; the backup need not have one
  --overwrite     deletes the present stream, and gives the present archive another name
  --replicas      copies of the streams in a cluster; as in the backup if absent

NATS_URL, TIDEMARK_NATS_USER and TIDEMARK_NATS_PASSWORD name the server and a user like tidemark-operator.`;

/** Metadata of a stream that is not complete: no service reads an epoch from it. */
const UNREADABLE = { tidemark_epoch: 'RESTORING' };

/**
 * @typedef {object} RestoreRequest
 * @property {NodeJS.ProcessEnv} environment
 * @property {string} folder
 * @property {string} archive the file that replay will use
 * @property {boolean} keepArchive
 * @property {boolean} overwrite
 * @property {number} [replicas]
 *
 * @typedef {import('./jetstream.mjs').StreamInfo} StreamInfo
 * @typedef {import('@tidemark/protocol').Lineage} Lineage
 * @typedef {RestoreRequest & {
 *   connection: import('./jetstream.mjs').NatsConnection,
 *   manifest: import('./folder.mjs').Manifest,
 * }} Restore
 */

/** @param {RestoreRequest} request @returns {Promise<string>} the new epoch */
export async function restore(request) {
  const { environment, folder, keepArchive } = request;
  const manifest = readManifest(folder);
  if (!manifest.archive && !keepArchive) {
    throw new Failure('The backup has no archive; --keep-archive goes on with the present one.');
  }
  await checkFiles(folder, manifest);
  const { connectToNats, refuseRunningReplay } = await loadBuilt(() => import('./jetstream.mjs'));
  const connection = await connectToNats(environment);
  try {
    await refuseRunningReplay(connection);
    return await apply({ ...request, connection, manifest });
  } finally {
    await connection.close();
  }
}

/** Looks at everything first, and changes something only then. @param {Restore} request */
async function apply(request) {
  const { connection, overwrite, keepArchive } = request;
  const { EVENTS, REVOCATIONS, streamInfo } = await import('./jetstream.mjs');
  const found = await streamInfo(connection, EVENTS);
  if (found && !overwrite) {
    throw new Failure(
      `There is a stream with ${found.state.messages} events; --overwrite deletes it.`,
    );
  }
  if (!keepArchive && existsSync(request.archive) && !overwrite) {
    throw new Failure(
      `There is an archive ${request.archive}; --overwrite gives it another name, --keep-archive goes on with it.`,
    );
  }
  const known = await knownLineages(request, found);
  if (!keepArchive) await placeArchive(request);
  const bucket = await streamInfo(connection, REVOCATIONS);
  if (bucket?.state.messages) {
    console.log(`  ${REVOCATIONS}: the present one is kept, since its revocations are newer`);
  } else {
    await restoreStream(request, { name: REVOCATIONS, found: bucket });
  }
  // Last, because services begin when there is a stream.
  return restoreEvents(request, { found, known });
}

/**
 * What is known about the log, beside what the stream of the backup says.
 *
 * @param {Restore} request
 * @param {StreamInfo | undefined} found the stream that is replaced
 * @returns {Promise<Lineage[]>}
 */
async function knownLineages({ manifest, folder, archive }, found) {
  const { readLineage } = await import('@tidemark/nats');
  const { readArchivePosition } = await import('./archive-file.mjs');
  const present = existsSync(archive) ? readArchivePosition(archive) : undefined;
  const replaced = found && readLineage(found.config.metadata, Date.parse(found.created));
  return [manifest.archive, ...readRestored(folder), replaced, present].flatMap((one) => one ?? []);
}

/** @param {Restore} request */
async function placeArchive({ folder, archive }) {
  const { setAside } = await import('./archive-file.mjs');
  mkdirSync(dirname(archive), { recursive: true });
  copyFileSync(join(folder, ARCHIVE_FILE), `${archive}.restoring`);
  if (existsSync(archive)) console.log(`  archive: the present one is ${setAside(archive)} now`);
  renameSync(`${archive}.restoring`, archive);
  console.log(`  archive: ${archive}`);
}

/**
 * Restores the events in two steps. Only the restored stream tells exactly where it ends, and until its
 * epoch is known nobody may append to it or read its epoch.
 *
 * @param {Restore} request
 * @param {{ found: StreamInfo | undefined, known: Lineage[] }} present
 */
async function restoreEvents(request, { found, known }) {
  const { connection, manifest, folder } = request;
  const { EVENTS, lastSequence, updateStream } = await import('./jetstream.mjs');
  const { goOnFrom, lineageMetadata } = await import('@tidemark/nats');
  const restored = await restoreStream(request, {
    name: EVENTS,
    found,
    // One of an earlier version denies deletions, which no server takes back later.
    meanwhile: { subjects: [`${EVENTS}.restoring`], metadata: UNREADABLE, deny_delete: false },
  });
  const through = await lastSequence(connection, restored);
  if (through < restored.state.last_seq) {
    console.error(
      `tidemark: The snapshot lacks the events from ${through + 1} to ${restored.state.last_seq}; replay is ready once another event is stored.`,
    );
  }
  const lineage = goOnFrom({ lineage: manifest.lineage, through }, known);
  noteRestored(folder, lineage);
  const { subjects, metadata } = snapshotOf(manifest, EVENTS).config;
  await updateStream(connection, {
    ...restored.config,
    subjects,
    metadata: { ...metadata, ...lineageMetadata(lineage) },
  });
  return lineage.epoch;
}

/**
 * @param {Restore} request
 * @param {object} stream
 * @param {string} stream.name
 * @param {StreamInfo | undefined} stream.found the present one, which is deleted
 * @param {object} [stream.meanwhile] what its configuration is at first
 */
async function restoreStream(request, { name, found, meanwhile }) {
  const { connection, manifest, folder, replicas } = request;
  const { askJetStream } = await import('./jetstream.mjs');
  const { restoreSnapshot } = await import('./stream-snapshot.mjs');
  const snapshot = snapshotOf(manifest, name);
  if (found) await askJetStream(connection, `STREAM.DELETE.${name}`);
  const config = {
    ...snapshot.config,
    ...(replicas !== undefined && { num_replicas: replicas }),
    ...meanwhile,
  };
  return restoreSnapshot(connection, { ...snapshot, config }, join(folder, snapshot.file));
}

/** @param {import('./folder.mjs').Manifest} manifest @param {string} name */
function snapshotOf({ streams }, name) {
  const snapshot = streams.find(({ config }) => config.name === name);
  if (!snapshot) throw new Failure(`The backup lacks ${name}.`);
  return snapshot;
}

async function main() {
  const {
    from,
    archive,
    'keep-archive': keepArchive = false,
    overwrite = false,
    replicas,
    help,
  } = readArguments(
    {
      from: { type: 'string' },
      archive: { type: 'string' },
      'keep-archive': { type: 'boolean' },
      overwrite: { type: 'boolean' },
      replicas: { type: 'string' },
      help: { type: 'boolean' },
    },
    USAGE,
  );
  if (help) return;
  if (!from) throw new Failure(`--from is needed.\n\n${USAGE}`);
  if (replicas && !/^[1-5]$/.test(replicas))
    throw new Failure('--replicas is a number from 1 to 5.');
  const environment = process.env;
  const epoch = await restore({
    environment,
    folder: fromCaller(from),
    archive: archivePath(archive, environment),
    keepArchive,
    overwrite,
    ...(replicas && { replicas: Number(replicas) }),
  });
  console.log(
    `The log goes on in the epoch ${epoch}. Restart NATS, then start replay, then the other services.`,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
