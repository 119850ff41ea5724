import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstream,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import { type KV, Kvm } from '@nats-io/kv';
import {
  revocationSeconds,
  type StreamConfiguration,
  type TokenConfiguration,
} from '@tidemark/config';
import type { Metadata } from './lineage.ts';
import type { NatsLink } from './link.ts';
import { INACTIVE_MS } from './ordered-consumer.ts';
import { readInfo } from './stream-state.ts';

const NANOSECONDS_PER_MS = 1_000_000;
const NANOSECONDS_PER_SECOND = 1_000_000_000;

/** The bucket of the revocations. */
export const REVOCATION_BUCKET = 'TIDEMARK_REVOCATIONS';

/** Room for some 60,000 revocations; a further one is refused. */
const REVOCATION_BYTES_MAX = 16 * 1024 * 1024;

/**
 * Most consumers of the revocations. Each process has one; ingest, which may create them, could fill the memory of
 * NATS with more: 15 KB each. They end when nobody asks them for `INACTIVE_MS`.
 */
const REVOCATION_CONSUMERS_MAX = 1000;

/** The entry of its metadata that tells until when records without a time were stored, in ms since 1970. */
const UNTIMED_KEY = 'tidemark_untimed_until';

/** The bucket of the tickets. */
export const TICKET_BUCKET = 'TIDEMARK_TICKETS';

/** How long a ticket is valid, in seconds. */
export const TICKET_SECONDS = 30;

/** Room for some 30,000 unused tickets; a further one is refused. */
const TICKET_BYTES_MAX = 16 * 1024 * 1024;

/** The bucket of the archives. */
export const ARCHIVE_BUCKET = 'TIDEMARK_ARCHIVES';

/** How long an archive is remembered after it was there for the last time, in seconds. */
const ARCHIVE_SECONDS = 7 * 24 * 60 * 60;

/** Room for some 300 archives with many missing ranges. */
const ARCHIVE_BYTES_MAX = 1024 * 1024;

const VALUE_BYTES_MAX = 64 * 1024;

/** The configuration of a stream, with its name. */
export type NamedStream = Partial<StreamConfig> & { readonly name: string };

/** The configuration of the buckets. Each is a stream in the layout that NATS calls key-value. */
export function desiredBuckets(config: StreamConfiguration & TokenConfiguration): NamedStream[] {
  const common = { streamReplicas: config.streamReplicas };
  return [
    bucket(REVOCATION_BUCKET, {
      ...common,
      ageSecondsMax: revocationSeconds(config),
      bytesMax: REVOCATION_BYTES_MAX,
      storage: StorageType.File,
      consumersMax: REVOCATION_CONSUMERS_MAX,
    }),
    bucket(TICKET_BUCKET, {
      ...common,
      ageSecondsMax: TICKET_SECONDS,
      bytesMax: TICKET_BYTES_MAX,
      // A client whose ticket a restart loses asks for another one.
      storage: StorageType.Memory,
    }),
    bucket(ARCHIVE_BUCKET, {
      ...common,
      ageSecondsMax: ARCHIVE_SECONDS,
      bytesMax: ARCHIVE_BYTES_MAX,
      storage: StorageType.File,
    }),
  ];
}

/**
 * Opens a bucket, whose keys are read and written at the leader.
 *
 * @throws Error while NATS is unreachable
 */
export function openBucket(
  { connection, connected }: NatsLink,
  name: string,
  { timeoutMs }: { readonly timeoutMs: number },
): Promise<KV> {
  if (!connected) throw new Error('NATS is away.');
  const client = jetstream(connection, { timeout: timeoutMs });
  return new Kvm(client).open(name, { allow_direct: false });
}

/** Whether the metadata tells until when records without a time were stored. */
export function namesUntimed(metadata: Metadata = {}): boolean {
  return /^\d{1,15}$/.test(metadata[UNTIMED_KEY] ?? '');
}

/** The entry of the metadata that tells it; none where it is not known yet. */
export function untimedMetadata(metadata: Metadata = {}): Metadata {
  const entry = metadata[UNTIMED_KEY];
  return entry === undefined ? {} : { [UNTIMED_KEY]: entry };
}

/** @param untilMs in ms since 1970; 0 for a bucket that begins with records that have a time */
export function newUntimedMetadata(untilMs: number): Metadata {
  return { [UNTIMED_KEY]: String(untilMs) };
}

/**
 * Until when revocations without a time were stored, in ms since 1970. A version before sealed no time. Replay
 * sets the end when it is upgraded; before that they may come at any time.
 *
 * @throws the error of NATS
 */
export async function readUntimedUntil(link: NatsLink): Promise<number> {
  const info = await readInfo(link, bucketStream(REVOCATION_BUCKET));
  const { metadata } = info?.config ?? {};
  return namesUntimed(metadata) ? Number(metadata?.[UNTIMED_KEY]) : Number.POSITIVE_INFINITY;
}

/** Whether a write failed because another process has written the key since it was read. */
export function isConflict(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  const { StreamWrongLastSequence, StreamWrongLastSequenceUnknown } = JetStreamApiCodes;
  return error.code === StreamWrongLastSequence || error.code === StreamWrongLastSequenceUnknown;
}

/** The name of the stream behind a bucket. */
export function bucketStream(name: string): string {
  return `KV_${name}`;
}

interface BucketLimits {
  readonly ageSecondsMax: number;
  readonly bytesMax: number;
  readonly storage: StorageType;
  readonly streamReplicas: number;
  /** Most consumers, each of which ends soon when it is not used; as many as NATS bears if absent. */
  readonly consumersMax?: number;
}

function bucket(name: string, limits: BucketLimits): NamedStream {
  const { ageSecondsMax, bytesMax, storage, streamReplicas, consumersMax } = limits;
  return {
    name: bucketStream(name),
    subjects: [`$KV.${name}.>`],
    storage,
    retention: RetentionPolicy.Limits,
    // A full bucket refuses new values. It never drops a revocation.
    discard: DiscardPolicy.New,
    // A follower may be behind, so the leader answers what decides on access.
    allow_direct: false,
    // A revocation ends by age alone: no message removes others, however it got there.
    allow_rollup_hdrs: false,
    deny_delete: true,
    deny_purge: true,
    max_msgs_per_subject: 1,
    max_age: ageSecondsMax * NANOSECONDS_PER_SECOND,
    max_bytes: bytesMax,
    max_msg_size: VALUE_BYTES_MAX,
    num_replicas: streamReplicas,
    ...(consumersMax !== undefined && {
      max_consumers: consumersMax,
      consumer_limits: { inactive_threshold: INACTIVE_MS * NANOSECONDS_PER_MS },
    }),
  };
}
