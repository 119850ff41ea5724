import type { NatsConnection } from '@nats-io/transport-node';
import { natsServerFault } from '@tidemark/config';

/** A server that has not answered by then, such as for lack of a leader, cannot be judged. */
const ANSWER_MS = 1000;

/**
 * Says why a NATS cannot be used. JetStream must refuse requests with fields that it does not know: an
 * acknowledgement that is sent to a subject of its API would otherwise be carried out as a request. It does
 * so from 2.12 on, unless its configuration says `strict: false`.
 *
 * @returns `undefined` for a NATS that may be used, and for one that does not answer
 */
export async function natsFault(
  connection: NatsConnection,
  apiPrefix: string,
): Promise<string | undefined> {
  const fault = natsServerFault(connection.info?.version ?? '');
  if (fault !== undefined) return fault;
  try {
    const request = JSON.stringify({ tidemark_asks_whether_this_is_refused: true });
    const options = { timeout: ANSWER_MS };
    const reply = await connection.request(`${apiPrefix}.STREAM.NAMES`, request, options);
    const { error, total } = Object(reply.json());
    if (error !== undefined || total === undefined) return undefined;
  } catch {
    return undefined;
  }
  return 'JetStream of this NATS has `strict: false`, so an acknowledgement can pass for a request to it';
}
