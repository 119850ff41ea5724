import { JetStreamApiError } from '@nats-io/jetstream';
import { TidemarkError, toSubject } from '@tidemark/protocol';
import type { NatsLink } from './link.ts';
import { unavailable } from './refusals.ts';
import { manager, readInfo, readRecordBy, STREAM_NAME } from './stream-state.ts';

/** The error of NATS for a message that was deleted before, for which the client library has no name. */
const SEQUENCE_NOT_FOUND = 10043;

/** That for every fault of a deletion, and how it describes a message that has left the stream (2.12.0 and 2.15.2). */
const DELETE_FAILED = 10057;
const NO_MESSAGE = 'no message found';

/**
 * Requires that events can be deleted from the stream. Servers never allow it for a stream that once denied it.
 *
 * @throws TidemarkError `not_erasable`, or `unavailable` where the stream does not answer
 */
export async function requireErasable(link: NatsLink): Promise<void> {
  if (!link.connected) throw unavailable('NATS is away.');
  const info = await readInfo(link, STREAM_NAME).catch((cause) => {
    throw unavailable('The stream does not answer.', cause);
  });
  if (!info) throw unavailable('There is no stream.');
  if (!info.config.deny_delete) return;
  throw new TidemarkError(
    'not_erasable',
    'The stream was created by an earlier version, with deny_delete, which NATS never takes back. A stream that is restored from a backup, or promoted from a new mirror, allows erasures (infra/README.md).',
  );
}

/**
 * Deletes an event from the stream, and overwrites its bytes on the disk. An event that is not there, or not any
 * more, is no error. It takes the server some 5 ms.
 *
 * @throws the error of NATS
 */
export async function eraseFromStream(link: NatsLink, sequence: number): Promise<void> {
  const { streams } = await manager(link);
  try {
    await streams.deleteMessage(STREAM_NAME, sequence, true);
  } catch (error) {
    if (!isAbsent(error)) throw error;
  }
}

function isAbsent(error: unknown): boolean {
  if (!(error instanceof JetStreamApiError)) return false;
  if (error.code === SEQUENCE_NOT_FOUND) return true;
  return error.code === DELETE_FAILED && error.apiError().description === NO_MESSAGE;
}

/**
 * Finds the first event of a topic that the stream has, from a sequence on.
 *
 * @returns its sequence; `undefined` where there is none
 * @throws the error of NATS
 */
export async function nextOfTopic(
  link: NatsLink,
  topic: string,
  from: number,
): Promise<number | undefined> {
  const record = await readRecordBy(link, { seq: from, next_by_subj: toSubject(topic) });
  return record?.sequence;
}
