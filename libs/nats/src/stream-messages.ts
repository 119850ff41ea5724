import { JetStreamApiCodes } from '@nats-io/jetstream';
import { toSubject } from '@tidemark/protocol';
import type { NatsLink } from './link.ts';
import { unavailable } from './refusals.ts';
import type { RetryBudget } from './retry-budget.ts';
import { STREAM_NAME } from './stream-state.ts';

/** The parts of a message of the stream that an append is compared with. */
export interface RawMessage {
  readonly sequence: number;
  readonly subject: string;
  /** The NATS headers as text. */
  readonly headers: string;
  readonly payload: Uint8Array;
}

/** The value of a header of a raw message. */
export function headerOf({ headers }: RawMessage, name: string): string | undefined {
  const start = headers.indexOf(`\r\n${name}: `);
  if (start === -1) return undefined;
  const valueAt = start + name.length + 4;
  return headers.slice(valueAt, headers.indexOf('\r\n', valueAt));
}

/**
 * Reads a message from the leader, not by direct get: a follower may lag behind a refused append. A server
 * that knows no leader may answer before the leader does, so an error is asked again.
 *
 * @returns `undefined` where the stream has none
 * @throws TidemarkError `unavailable`
 */
export async function requestMessage(
  link: NatsLink,
  request: object,
  budget: RetryBudget,
): Promise<RawMessage | undefined> {
  for (;;) {
    const { message, error } = await requestOnce(link, request, budget);
    const { err_code: code } = Object(error) as { err_code?: unknown };
    // Any other error is no answer. It does not mean that the topic is empty.
    if (code === JetStreamApiCodes.NoMessageFound) return undefined;
    const {
      seq,
      subject,
      hdrs = '',
      data = '',
    } = Object(message) as Readonly<Record<string, unknown>>;
    const isWhole = typeof hdrs === 'string' && typeof data === 'string';
    if (typeof seq === 'number' && typeof subject === 'string' && isWhole) {
      const headers = Buffer.from(hdrs, 'base64').toString();
      return { sequence: seq, subject, headers, payload: Buffer.from(data, 'base64') };
    }
    if (!(await budget.pause())) throw unavailable('The stream cannot be read.', error);
  }
}

/**
 * The first message from a sequence on, of any subject, as the leader has it. One behind a sequence that has no
 * message tells that this was deleted, or left the stream with all before it: the stream reaches further.
 *
 * @returns `undefined` where the stream of the server that answers has none
 * @throws TidemarkError `unavailable`
 */
export function requestNext(
  link: NatsLink,
  sequence: number,
  budget: RetryBudget,
): Promise<RawMessage | undefined> {
  return requestMessage(link, { seq: sequence, next_by_subj: toSubject('>') }, budget);
}

interface MessageAnswer {
  readonly message?: unknown;
  readonly error?: unknown;
}

/** @throws TidemarkError `unavailable` */
async function requestOnce(
  link: NatsLink,
  request: object,
  budget: RetryBudget,
): Promise<MessageAnswer> {
  if (!link.connected) throw unavailable('NATS is away.');
  try {
    const subject = link.apiSubject(`STREAM.MSG.GET.${STREAM_NAME}`);
    const reply = await link.connection.request(subject, JSON.stringify(request), {
      timeout: budget.leftMs,
    });
    return Object(reply.json());
  } catch (error) {
    throw unavailable('NATS did not answer in time.', error);
  }
}
