import type { StreamInfo } from '@nats-io/jetstream';
import type { NatsLink } from './link.ts';
import { STREAM_NAME, type StreamState, toState } from './stream-state.ts';

/**
 * The bounds of the events stream now, for a caller with little time.
 *
 * @throws an error where nobody answers in time, or no answer may be believed
 */
export async function readStateWithin(link: NatsLink, timeoutMs: number): Promise<StreamState> {
  const subject = link.apiSubject(`STREAM.INFO.${STREAM_NAME}`);
  const asked = link.knownEnd.sequence;
  const reply = await link.connection.request(subject, '', { timeout: timeoutMs });
  const answer = reply.json() as StreamInfo | { readonly error: { readonly description: string } };
  if ('error' in answer) throw new Error(answer.error.description);
  return toState(link, answer, asked);
}
