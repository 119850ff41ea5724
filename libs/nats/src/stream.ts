import {
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { StreamConfiguration, TokenConfiguration } from '@tidemark/config';
import { EVENT_BYTES_MAX, type Lineage, toSubject } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import {
  bucketStream,
  desiredBuckets,
  type NamedStream,
  namesUntimed,
  newUntimedMetadata,
  REVOCATION_BUCKET,
} from './buckets.ts';
import { lineageMetadata, type Metadata, namesLog, readLineage } from './lineage.ts';
import type { NatsLink } from './link.ts';
import { hasSeal, newSealMetadata } from './seal.ts';
import { manager, readInfo, STREAM_NAME, type StreamState, toState } from './stream-state.ts';

const NANOSECONDS_PER_SECOND = 1_000_000_000;

/** Largest message that NATS accepts. Direct publishers may add headers and white space. */
const MESSAGE_BYTES_MAX = 2 * EVENT_BYTES_MAX;

/**
 * How long messages without a seal still count as those of services, once a stream of an earlier version has
 * a key, and revocations without a time as theirs: ingest and gateways are upgraded after replay.
 */
const UPGRADE_MS = 60 * 60_000;

/** The settings of the stream and the buckets, which replay owns. */
export type StoreConfiguration = StreamConfiguration & TokenConfiguration;

/** The configuration of the events stream: what Tidemark needs, and what operators choose. */
export function desiredStream(config: StreamConfiguration): Partial<StreamConfig> {
  const { streamMaxAgeSeconds, streamMaxBytes, streamDuplicateWindowSeconds } = config;
  const windowSeconds =
    streamMaxAgeSeconds === 0
      ? streamDuplicateWindowSeconds
      : Math.min(streamDuplicateWindowSeconds, streamMaxAgeSeconds);
  return {
    subjects: [toSubject('>')],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    allow_direct: true,
    // Erasures delete single events. A stream that denies it does so for ever: servers never switch that off again.
    deny_delete: false,
    deny_purge: true,
    max_age: streamMaxAgeSeconds * NANOSECONDS_PER_SECOND,
    max_bytes: streamMaxBytes === 0 ? -1 : streamMaxBytes,
    max_msg_size: MESSAGE_BYTES_MAX,
    duplicate_window: windowSeconds * NANOSECONDS_PER_SECOND,
    num_replicas: config.streamReplicas,
  };
}

/**
 * Creates the stream and the buckets, or updates them to the configuration. It deletes none of them.
 *
 * @returns the bounds of the events stream
 * @throws the error of NATS where it cannot apply a difference, which the operator must decide on
 */
export async function reconcileStream(
  link: NatsLink,
  config: StoreConfiguration,
  logger: Logger,
): Promise<StreamState> {
  for (const bucket of desiredBuckets(config)) await reconcileBucket(link, bucket, logger);
  const desired = { name: STREAM_NAME, ...desiredStream(config) };
  // A stream without a key, if only for a moment, would be one of an earlier version.
  const info = await reconcile(link, desired, logger, newSealMetadata(0));
  const { metadata } = info.config;
  const lacking: Metadata = {
    // The name of the log must outlive the stream: a backup or a mirror is created at another time.
    ...(!namesLog(metadata) && lineageMetadata(readLineage(metadata, Date.parse(info.created)))),
    ...(!hasSeal(metadata) && newSealMetadata(Date.now() + UPGRADE_MS)),
  };
  if (Object.keys(lacking).length === 0) return toState(link, info);
  return writeMetadata(link, lacking, toState(link, info).epoch);
}

async function reconcileBucket(link: NatsLink, bucket: NamedStream, logger: Logger): Promise<void> {
  const hasUntimed = bucket.name === bucketStream(REVOCATION_BUCKET);
  const first = hasUntimed ? newUntimedMetadata(0) : undefined;
  const { config } = await reconcile(link, bucket, logger, first);
  if (!hasUntimed || namesUntimed(config.metadata)) return;
  const { streams } = await manager(link);
  const metadata = { ...config.metadata, ...newUntimedMetadata(Date.now() + UPGRADE_MS) };
  await streams.update(bucket.name, { ...config, metadata });
}

/**
 * Writes the lineage of the log into the metadata of the stream.
 *
 * @param judged the epoch of the stream that the lineage follows from
 * @returns the bounds of the stream in the last epoch of the lineage
 * @throws the error of NATS; Error when the stream has another epoch by now, so that it must be judged again
 */
export function writeLineage(
  link: NatsLink,
  lineage: Lineage,
  judged: string,
): Promise<StreamState> {
  return writeMetadata(link, lineageMetadata(lineage), judged);
}

async function writeMetadata(
  link: NatsLink,
  entries: Metadata,
  judged: string,
): Promise<StreamState> {
  const info = await readInfo(link, STREAM_NAME);
  if (!info) throw new Error('There is no stream.');
  // Another replay service may have found the same loss, and known less or more about it.
  const { epoch } = toState(link, info);
  if (epoch !== judged) throw new Error(`The log is in the epoch ${epoch} by now, not ${judged}.`);
  const metadata = { ...info.config.metadata, ...entries };
  const { streams } = await manager(link);
  return toState(link, await streams.update(STREAM_NAME, { ...info.config, metadata }));
}

async function reconcile(
  link: NatsLink,
  desired: NamedStream,
  logger: Logger,
  firstMetadata?: Metadata,
): Promise<StreamInfo> {
  const { name: stream } = desired;
  const { streams } = await manager(link);
  const found = await readInfo(link, stream);
  if (!found) {
    logger.info({ stream }, 'creating the stream');
    return streams.add({ ...desired, ...(firstMetadata && { metadata: { ...firstMetadata } }) });
  }
  const wanted = { ...desired };
  // A server never lets it be switched off again.
  if (found.config.deny_delete) wanted.deny_delete = true;
  for (;;) {
    const changes = differences(found.config, wanted);
    if (changes.length === 0) return found;
    logger.info({ stream, changes }, 'updating the stream');
    try {
      return await streams.update(stream, { ...found.config, ...wanted });
    } catch (error) {
      if (wanted.max_consumers === undefined || !refusesConsumersMax(error)) throw error;
      delete wanted.max_consumers;
    }
  }
}

/** Some servers, such as 2.12.0, limit the consumers of a stream when they create it and never later. */
function refusesConsumersMax(error: unknown): boolean {
  return error instanceof JetStreamApiError && error.message.includes('MaxConsumers');
}

function differences(found: StreamConfig, desired: Partial<StreamConfig>): string[] {
  return Object.entries(desired)
    .filter(([name, value]) => {
      return JSON.stringify(found[name as keyof StreamConfig]) !== JSON.stringify(value);
    })
    .map(([name]) => name);
}
