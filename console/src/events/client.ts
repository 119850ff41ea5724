import { connect, type Tidemark } from '@tidemark/client';
import { serviceUrl } from '../api/configuration.ts';
import { session } from '../api/session.ts';

/** A connection of its own with the token of the session. Whoever opens it closes it. */
export function openClient(): Tidemark {
  const token = 'token' in session.value ? session.value.token : '';
  return connect({ url: serviceUrl('gateway'), replayUrl: serviceUrl('replay'), token });
}
