import type { Tidemark } from '@tidemark/client';
import type { Context } from './context.ts';

/** Connects the client library to the system, and tells of outages. */
export async function connectClient(context: Context): Promise<Tidemark> {
  const { output } = context;
  const { urls, token } = await context.target();
  const { connect } = await import('@tidemark/client');
  let last: string | undefined;
  const client = connect({
    url: urls.gateway,
    ingestUrl: urls.ingest,
    replayUrl: urls.replay,
    token: async () => {
      const given = await token.get();
      // The library asks again only where a service has refused the token, or it is about to expire.
      if (given === last) token.refuse(given);
      last = await token.get();
      return last;
    },
  });
  let isAway = false;
  client.on('status', ({ state }) => {
    if (state === 'offline' && !isAway) {
      isAway = true;
      output.message(
        output.messageStyle('yellow', `offline: ${urls.gateway}; it comes back by itself`),
      );
    } else if (state === 'live' && isAway) {
      isAway = false;
      output.message(output.messageStyle('green', 'live again'));
    }
  });
  return client;
}
