import { type NatsLink, STREAM_NAME } from '@tidemark/nats';
import { type CloudEvent, messageId, TidemarkError, toSubject } from '@tidemark/protocol';

export interface EarlierAppend {
  /** The last sequence of the topic that the append demanded. */
  readonly expectedLastSequence: number;
  readonly timeoutMs: number;
}

/**
 * The sequence of an event whose conditional append was refused, if it had been stored before: its
 * answer got lost and the client sent it again. NATS looks at the condition before it looks for
 * duplicates, so that such a repeat fails. If the first try succeeded, though, its event is the
 * very next one of the topic after the sequence that the condition names.
 */
export async function findEarlierAppend(
  link: NatsLink,
  event: CloudEvent,
  { expectedLastSequence, timeoutMs }: EarlierAppend,
): Promise<number | undefined> {
  const next = { seq: expectedLastSequence + 1, next_by_subj: toSubject(event.topic) };
  const subject = `$JS.API.STREAM.MSG.GET.${STREAM_NAME}`;
  const reply = await link.connection
    .request(subject, JSON.stringify(next), { timeout: timeoutMs })
    .catch((cause) => {
      throw new TidemarkError('unavailable', 'NATS did not answer in time.', { cause });
    });
  const { message } = reply.json<{ message?: { seq: number; hdrs?: string } }>();
  const headers = Buffer.from(message?.hdrs ?? '', 'base64').toString();
  return headers.includes(`\r\nNats-Msg-Id: ${messageId(event)}\r\n`) ? message?.seq : undefined;
}
