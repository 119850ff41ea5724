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

/**
 * @typedef {object} RestoreRequest
 * @property {NodeJS.ProcessEnv} environment
 * @property {string} folder
 * @property {string} archive the file that replay will use
 * @property {boolean} keepArchive
 * @property {boolean} overwrite
 * @property {number} [replicas]
 *
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
  const { connection, folder, overwrite, keepArchive } = request;
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
  const lineage = await nextLineage(request, found);
  noteRestored(folder, lineage);
  if (!keepArchive) await placeArchive(request);
  await restoreStream(request, { name: REVOCATIONS });
  // Last, because services begin when there is a stream.
  await restoreStream(request, { name: EVENTS, lineage });
  return lineage.epoch;
}

/**
 * @param {Restore} request
 * @param {import('./jetstream.mjs').StreamInfo | undefined} found the stream that is replaced
 */
async function nextLineage({ manifest, folder, archive }, found) {
  const { goOnFrom, readLineage } = await import('@tidemark/nats');
  const { readArchivePosition } = await import('./archive-file.mjs');
  const { EVENTS } = await import('./jetstream.mjs');
  const events = manifest.streams.find(({ config }) => config.name === EVENTS);
  if (!events) throw new Failure(`The backup lacks ${EVENTS}.`);
  const present = existsSync(archive) ? readArchivePosition(archive) : undefined;
  const known = [
    manifest.archive,
    ...readRestored(folder),
    found && readLineage(found.config.metadata, Date.parse(found.created)),
    present,
  ];
  return goOnFrom(
    { lineage: manifest.lineage, through: events.state.last_seq },
    known.flatMap((one) => one ?? []),
  );
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
 * @param {Restore} request
 * @param {{ name: string, lineage?: import('@tidemark/protocol').Lineage }} stream
 */
async function restoreStream({ connection, manifest, folder, replicas }, { name, lineage }) {
  const { askJetStream, streamInfo } = await import('./jetstream.mjs');
  const { restoreSnapshot } = await import('./stream-snapshot.mjs');
  const { lineageMetadata } = await import('@tidemark/nats');
  const snapshot = manifest.streams.find(({ config }) => config.name === name);
  if (!snapshot) throw new Failure(`The backup lacks ${name}.`);
  const found = await streamInfo(connection, name);
  if (found && !lineage && found.state.messages > 0) {
    console.log(`  ${name}: the present one is kept, since its revocations are newer`);
    return;
  }
  if (found) await askJetStream(connection, `STREAM.DELETE.${name}`);
  const config = {
    ...snapshot.config,
    ...(replicas !== undefined && { num_replicas: replicas }),
    metadata: { ...snapshot.config.metadata, ...(lineage && lineageMetadata(lineage)) },
  };
  await restoreSnapshot(connection, { ...snapshot, config }, join(folder, snapshot.file));
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
  console.log(`The log goes on in the epoch ${epoch}. Start replay, then the other services.`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
