import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { NoRespondersError } from '@nats-io/transport-node';
import { TidemarkError } from '@tidemark/protocol';

/** NATS error codes for which the client library has no names. */
const DUPLICATE_IN_PROCESS = 10158;
const CONDITION_NOT_READY = 10163;
const ACCOUNT_RESOURCES_EXCEEDED = 10002;
const INSUFFICIENT_RESOURCES = 10023;
const STORAGE_RESOURCES_EXCEEDED = 10047;
const STORE_FAILED = 10077;
const CLUSTER_NOT_AVAILABLE = 10008;
const CLUSTER_NOT_LEADER = 10009;
const STREAM_OFFLINE = 10118;
const STREAM_OFFLINE_REASON = 10194;

const RETRY_AFTER_SECONDS = 1;

/**
 * Why the stream did not store an event:
 *
 * - `condition`: the topic's last sequence was another one than the condition names
 * - `in_process`: the stream does not know yet, because another append to the topic, or an earlier one of
 *   the same event, is not complete. It says nothing about the condition
 * - `full`: the disk, or the space that NATS may use, is full
 * - `offline`: no server leads the stream
 * - `silent`: there was no answer in time, or one of no other kind
 */
export type Refusal = 'condition' | 'in_process' | 'full' | 'offline' | 'silent';

const REFUSALS: ReadonlyMap<number, Refusal> = new Map([
  [JetStreamApiCodes.StreamWrongLastSequence, 'condition'],
  [JetStreamApiCodes.StreamWrongLastSequenceUnknown, 'in_process'],
  [DUPLICATE_IN_PROCESS, 'in_process'],
  [CONDITION_NOT_READY, 'in_process'],
  [ACCOUNT_RESOURCES_EXCEEDED, 'full'],
  [INSUFFICIENT_RESOURCES, 'full'],
  [STORAGE_RESOURCES_EXCEEDED, 'full'],
  [JetStreamApiCodes.JetStreamNotEnabledForAccount, 'offline'],
  [CLUSTER_NOT_AVAILABLE, 'offline'],
  [CLUSTER_NOT_LEADER, 'offline'],
  [STREAM_OFFLINE, 'offline'],
  [STREAM_OFFLINE_REASON, 'offline'],
]);

/** What NATS says of a write that the file system refused for lack of space. */
const NO_SPACE = /no space left|quota exceeded|maximum bytes exceeded/;

const MESSAGES: Readonly<Record<Exclude<Refusal, 'condition'> | 'stuck', string>> = {
  in_process: 'Another append to the topic is not complete yet.',
  full: "The stream's store is full.",
  stuck: 'The stream stores nothing: its disk may be full, or most of its replicas away.',
  offline: 'No server leads the stream.',
  silent: 'The stream did not acknowledge in time.',
};

/** Reads what NATS, or its client library, says of an append that failed. */
export function toRefusal(error: unknown): Refusal {
  // No server leads the stream.
  if (error instanceof NoRespondersError) return 'offline';
  if (!(error instanceof JetStreamApiError)) return 'silent';
  const { code, message } = error;
  if (code === JetStreamApiCodes.StreamNotFound) return 'offline';
  if (code === STORE_FAILED) return NO_SPACE.test(message) ? 'full' : 'silent';
  return REFUSALS.get(code) ?? 'silent';
}

/** The answer to a publisher whose event was refused; `stuck` where the store watch knows of it. */
export function refusalError(refusal: Refusal | 'stuck', cause?: unknown): TidemarkError {
  if (refusal !== 'condition') return unavailable(MESSAGES[refusal], cause);
  const message = "The topic's last event is another one.";
  return new TidemarkError('precondition_failed', message, { cause });
}

/** `unavailable`, to be tried again in a second. */
export function unavailable(message: string, cause?: unknown): TidemarkError {
  return new TidemarkError('unavailable', message, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    cause,
  });
}
