import '../launcher/node-version.mjs';
import { pathToFileURL } from 'node:url';
import { Failure, runMain } from '../launcher/failure.mjs';
import { loadBuilt, readArguments } from './arguments.mjs';

const USAGE = `npm run mirror -- --domain <domain>

Makes this NATS a standby: it creates mirrors of the stream and of the revocations, which follow the
originals. Both servers are connected as leaf nodes, each with a JetStream domain of its own.

  --domain  the JetStream domain of the server that has the originals

NATS_URL, TIDEMARK_NATS_USER and TIDEMARK_NATS_PASSWORD name the standby and a user like tidemark-operator.`;

/** Settings of the original that its mirror has as well. What it lacks replay sets after the promotion. */
const SHARED = [
  'storage',
  'max_age',
  'max_bytes',
  'max_msg_size',
  'max_msgs_per_subject',
  'deny_purge',
  'allow_rollup_hdrs',
  'discard',
];

/** @param {NodeJS.ProcessEnv} environment @param {string} domain of the originals */
export async function mirror(environment, domain) {
  const { connectToNats, EVENTS, REVOCATIONS, streamInfo, askJetStream } = await loadBuilt(
    () => import('./jetstream.mjs'),
  );
  const connection = await connectToNats(environment);
  const remote = { api: `$JS.${domain}.API`, deliver: '' };
  try {
    for (const name of [REVOCATIONS, EVENTS]) {
      if (await streamInfo(connection, name)) {
        throw new Failure(`The standby has a stream ${name} already.`);
      }
      const original = await streamInfo(connection, name, remote.api);
      if (!original) throw new Failure(`The domain ${domain} has no stream ${name}.`);
      const shared = SHARED.map((setting) => [setting, original.config[setting]]);
      await askJetStream(connection, `STREAM.CREATE.${name}`, {
        name,
        retention: 'limits',
        num_replicas: 1,
        ...Object.fromEntries(shared.filter(([, value]) => value !== undefined)),
        metadata: await metadataOf(original),
        mirror: { name, external: remote },
      });
      console.log(`  ${name}: follows the one in ${domain}`);
    }
  } finally {
    await connection.close();
  }
}

/**
 * The name of the log, the key of its seals, and until when records had no time, which the mirror keeps. A stream of
 * an earlier version has none yet.
 *
 * @param {import('./jetstream.mjs').StreamInfo} original
 */
async function metadataOf({ config, created }) {
  const { EVENTS } = await import('./jetstream.mjs');
  const { lineageMetadata, readLineage, sealMetadata, untimedMetadata } = await import(
    '@tidemark/nats'
  );
  const { metadata } = config;
  if (config.name !== EVENTS) return untimedMetadata(metadata);
  return {
    ...lineageMetadata(readLineage(metadata, Date.parse(created))),
    ...sealMetadata(metadata),
  };
}

async function main() {
  const { domain, help } = readArguments(
    { domain: { type: 'string' }, help: { type: 'boolean' } },
    USAGE,
  );
  if (help) return;
  if (!domain) throw new Failure(`--domain is needed.\n\n${USAGE}`);
  await mirror(process.env, domain);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await runMain(main);
