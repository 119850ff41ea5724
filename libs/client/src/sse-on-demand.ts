import type { Environment } from './environment.ts';
import type { Link, OpenLink } from './wire.ts';

/** SSE as a module of its own, loaded where it is needed: most pages have WebSocket and never do. */
export function sseLinkOnDemand(
  url: string,
  environment: Environment,
  traceparent: () => string | undefined,
): OpenLink {
  return (token, listener) => {
    let link: Link | undefined;
    let isOver = false;
    import('./sse.ts').then(
      ({ sseLink }) => {
        if (!isOver) link = sseLink(url, environment, traceparent)(token, listener);
      },
      // As with every link that does not open, there is a next attempt.
      (error: unknown) => isOver || listener.ended({ code: 1006, reason: String(error) }),
    );
    return {
      // Nobody subscribes before `welcome`, which the link says.
      subscribe: (id, request) => link?.subscribe(id, request),
      unsubscribe: (id) => link?.unsubscribe(id),
      authenticate: () => false,
      ping: () => undefined,
      close: () => {
        isOver = true;
        link?.close();
      },
    };
  };
}
