import type { StreamInfo } from '@nats-io/jetstream';
import { type AdminStream, formatCursor } from '@tidemark/protocol';
import { ARCHIVE_BUCKET, bucketStream, REVOCATION_BUCKET, TICKET_BUCKET } from './buckets.ts';
import { readLineage } from './lineage.ts';
import type { NatsLink } from './link.ts';
import { unavailable } from './refusals.ts';
import { readInfo, STREAM_NAME } from './stream-state.ts';

/** How long a stream may take to answer, in ms. */
const INFO_MS = 2000;

const NANOSECONDS_PER_SECOND = 1e9;

/** The streams of a deployment: that of the events, and those of the buckets. */
const NAMES = [
  STREAM_NAME,
  ...[REVOCATION_BUCKET, TICKET_BUCKET, ARCHIVE_BUCKET].map(bucketStream),
];

/** What NATS says of the streams, and which of them nobody answers for. */
export interface StreamInfos {
  readonly items: AdminStream[];
  readonly unanswered: string[];
}

/**
 * Reads what NATS says of the streams of the deployment. One that there is not yet is left out.
 *
 * @throws TidemarkError `unavailable` while NATS is away
 */
export async function readStreamInfos(link: NatsLink): Promise<StreamInfos> {
  if (!link.connected) throw unavailable('NATS is away.');
  const answers = await Promise.all(
    NAMES.map(async (name) => ({
      name,
      info: await readInfo(link, name, INFO_MS).catch(() => 'none' as const),
    })),
  );
  return {
    items: answers.flatMap(({ info }) => (info && info !== 'none' ? toAdminStream(info) : [])),
    unanswered: answers.flatMap(({ name, info }) => (info === 'none' ? name : [])),
  };
}

function toAdminStream({ config, state, cluster, created }: StreamInfo): AdminStream {
  const leader = cluster?.leader || null;
  const { epoch } = readLineage(config.metadata, Date.parse(created));
  const isEmpty = state.messages === 0;
  return {
    name: config.name,
    subjects: [...config.subjects],
    messages: state.messages,
    bytes: state.bytes,
    ...(config.name === STREAM_NAME && {
      firstCursor: isEmpty ? null : formatCursor({ epoch, sequence: state.first_seq }),
    }),
    firstTime: isEmpty ? null : toTime(state.first_ts),
    lastTime: isEmpty ? null : toTime(state.last_ts),
    leader,
    replicas: [
      ...(leader ? [{ name: leader, leader: true, current: true, offline: false, lag: 0 }] : []),
      ...(cluster?.replicas ?? []).map(({ name, current, offline = false, lag = 0 }) => ({
        ...{ name, leader: false, current, offline, lag },
      })),
    ],
    limits: {
      bytes: toLimit(config.max_bytes),
      ageSeconds: toLimit(config.max_age / NANOSECONDS_PER_SECOND),
      messages: toLimit(config.max_msgs),
    },
    storage: config.storage,
  };
}

/** NATS writes 0 or -1 for no limit. */
function toLimit(value: number): number | null {
  return value > 0 ? value : null;
}

/** To milliseconds, which is what the others have. */
function toTime(text: string): string {
  return new Date(text).toISOString();
}
