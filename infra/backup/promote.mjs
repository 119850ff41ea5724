import '../launcher/node-version.mjs';
import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Failure, runMain } from '../launcher/failure.mjs';
import { fromCaller, loadBuilt, readArguments } from './arguments.mjs';

const USAGE = `npm run promote -- [--archive <file>]

Makes the mirrors of a standby the stream and the revocations. The original must be gone for good: nothing
keeps two servers from storing different events. The log goes on in a new epoch: clients at or before the
end of the mirror go on, and those beyond it are told what is lost.

  --archive  the archive that replay will use at the standby; it knows epochs that began after the mirror

NATS_URL, TIDEMARK_NATS_USER and TIDEMARK_NATS_PASSWORD name the standby and a user like tidemark-operator.`;

/** The subject of the stream while nobody may append to it. */
const PROMOTING = 'TIDEMARK_EVENTS.promoting';

/**
 * @param {NodeJS.ProcessEnv} environment
 * @param {string | undefined} archive
 * @returns {Promise<string>} the new epoch
 */
export async function promote(environment, archive) {
  const { connectToNats, EVENTS, REVOCATIONS, streamInfo, updateStream } = await loadBuilt(
    () => import('./jetstream.mjs'),
  );
  const { readArchivePosition } = await import('./archive-file.mjs');
  const { goOnFrom, lineageMetadata, readLineage } = await import('@tidemark/nats');
  if (archive && !existsSync(archive)) throw new Failure(`There is no archive ${archive}.`);
  const known = archive ? readArchivePosition(archive) : undefined;
  const connection = await connectToNats(environment);
  try {
    const bucket = await streamInfo(connection, REVOCATIONS);
    const events = await streamInfo(connection, EVENTS);
    if (!bucket || !events || !isMirror(events)) throw new Failure('This NATS has no mirrors.');
    await updateStream(connection, { ...withoutMirror(bucket), subjects: subjectsOf(REVOCATIONS) });
    // Without subjects nobody can append yet, so its end stays where it is.
    const { config, state, created } = await updateStream(connection, {
      ...withoutMirror(events),
      subjects: [PROMOTING],
    });
    const lineage = goOnFrom(
      {
        lineage: readLineage(config.metadata, Date.parse(created)),
        through: state.last_seq,
      },
      known ? [known] : [],
    );
    await updateStream(connection, {
      ...config,
      subjects: subjectsOf(EVENTS),
      metadata: { ...config.metadata, ...lineageMetadata(lineage) },
    });
    console.log(`  ${EVENTS}: ${state.messages} events up to ${state.last_seq}`);
    return lineage.epoch;
  } finally {
    await connection.close();
  }
}

/** @param {import('./jetstream.mjs').StreamInfo} info also of one whose promotion was interrupted */
function isMirror({ config: { mirror, subjects } }) {
  return mirror !== undefined || JSON.stringify(subjects) === JSON.stringify([PROMOTING]);
}

/** @param {import('./jetstream.mjs').StreamInfo} info */
function withoutMirror({ config: { mirror: _, ...config } }) {
  return config;
}

/** @param {string} stream */
function subjectsOf(stream) {
  return stream.startsWith('KV_') ? [`$KV.${stream.slice('KV_'.length)}.>`] : ['tidemark.events.>'];
}

async function main() {
  const { archive, help } = readArguments(
    { archive: { type: 'string' }, help: { type: 'boolean' } },
    USAGE,
  );
  if (help) return;
  const epoch = await promote(process.env, archive && fromCaller(archive));
  console.log(
    `The log goes on in the epoch ${epoch}. Restart NATS, then start replay, then the other services.`,
  );
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
