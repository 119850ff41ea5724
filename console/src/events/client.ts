import { connect, type Tidemark } from '@tidemark/client';
import { serviceUrl } from '../api/configuration.ts';
import { currentToken } from '../api/session.ts';

/** A connection of its own with the token of the session. Whoever opens it closes it. */
export function openClient(): Tidemark {
  const [url, replayUrl] = [serviceUrl('gateway'), serviceUrl('replay')];
  return connect({ url, replayUrl, token: currentToken() });
}
