import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
  type StreamInfo,
} from '@nats-io/jetstream';
import type { StreamConfiguration, TokenConfiguration } from '@tidemark/config';
import { EVENT_BYTES_MAX, type LogBounds, toSubject } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { desiredBuckets, type NamedStream } from './buckets.ts';
import { type NatsLink, pause } from './link.ts';

/** The name of the events stream in JetStream. */
export const STREAM_NAME = 'TIDEMARK_EVENTS';

const NANOSECONDS_PER_SECOND = 1_000_000_000;
const API_TIMEOUT_MS = 5000;
const WAIT_MS = 250;

/** Largest message that NATS accepts. Direct publishers may add headers and white space. */
const MESSAGE_BYTES_MAX = 2 * EVENT_BYTES_MAX;

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
    deny_delete: true,
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
): Promise<LogBounds> {
  for (const bucket of desiredBuckets(config)) await reconcile(link, bucket, logger);
  return reconcile(link, { name: STREAM_NAME, ...desiredStream(config) }, logger);
}

/**
 * The bounds of a stream now; `undefined` when it does not exist.
 *
 * @param name the events stream if absent
 * @throws the error of NATS when it does not answer in 5 s
 */
export async function readStreamState(
  link: NatsLink,
  name = STREAM_NAME,
): Promise<LogBounds | undefined> {
  const info = await readInfo(link, name);
  return info && toState(info);
}

/** When the events stream stored a message, in ms since 1970; `undefined` if it has none there. */
export async function readStoredMs(link: NatsLink, sequence: number): Promise<number | undefined> {
  const { streams } = await manager(link);
  const message = await streams.getMessage(STREAM_NAME, { seq: sequence });
  return message?.time.getTime();
}

/** What `waitForStream` logs to, and what ends it. */
export interface WaitOptions {
  readonly logger: Logger;
  readonly signal?: AbortSignal;
}

/**
 * Waits until replay, which owns the stream, has created it.
 *
 * @throws the signal's reason once it is aborted
 */
export async function waitForStream(
  link: NatsLink,
  { logger, signal }: WaitOptions,
): Promise<LogBounds> {
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      const state = await readStreamState(link);
      if (state) return state;
      if (attempt === 1) logger.info({ stream: STREAM_NAME }, 'waiting for the stream');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      if (attempt % 20 === 1) logger.warn({ reason }, 'waiting for JetStream');
    }
    await pause(WAIT_MS, signal);
  }
}

async function reconcile(link: NatsLink, desired: NamedStream, logger: Logger): Promise<LogBounds> {
  const { name: stream } = desired;
  const { streams } = await manager(link);
  const found = await readInfo(link, stream);
  if (!found) {
    logger.info({ stream }, 'creating the stream');
    return toState(await streams.add(desired));
  }
  const changes = differences(found.config, desired);
  if (changes.length === 0) return toState(found);
  logger.info({ stream, changes }, 'updating the stream');
  return toState(await streams.update(stream, { ...found.config, ...desired }));
}

async function readInfo(link: NatsLink, name: string): Promise<StreamInfo | undefined> {
  try {
    const { streams } = await manager(link);
    return await streams.info(name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) {
      return undefined;
    }
    throw error;
  }
}

function manager(link: NatsLink) {
  return jetstreamManager(link.connection, { timeout: API_TIMEOUT_MS, checkAPI: false });
}

function toState({ created, state }: StreamInfo): LogBounds {
  return {
    epoch: Date.parse(created).toString(36),
    firstSequence: Math.max(state.first_seq, 1),
    lastSequence: state.last_seq,
  };
}

function differences(found: StreamConfig, desired: Partial<StreamConfig>): string[] {
  return Object.entries(desired)
    .filter(([name, value]) => {
      return JSON.stringify(found[name as keyof StreamConfig]) !== JSON.stringify(value);
    })
    .map(([name]) => name);
}
