import type { Environment } from './environment.ts';
import { closedError, TidemarkClientError } from './errors.ts';
import { Publisher } from './publisher.ts';
import { Requests } from './requests.ts';
import { sseLink } from './sse.ts';
import type { TokenKeeper } from './token.ts';
import type { Service } from './types.ts';
import type { OpenLink } from './wire.ts';

export interface HttpOptions {
  readonly urls: Readonly<Record<Service, string>>;
  readonly tokens: TokenKeeper;
  readonly environment: Environment;
  readonly traceparent: () => string | undefined;
  readonly closing: AbortSignal;
}

/** All that goes over HTTP: requests, publishing and SSE. A page that follows events by WebSocket does without. */
export interface Http {
  readonly requests: Requests;
  readonly publisher: Publisher;
  readonly openSse: OpenLink;
  /** The end of the log now. An outage is no answer: it is asked for until there is one. */
  head(): Promise<string>;
}

export function createHttp(options: HttpOptions): Http {
  const { urls, environment, traceparent, closing } = options;
  const requests = new Requests(options);
  return {
    requests,
    publisher: new Publisher(requests, environment.random, closing),
    openSse: sseLink(urls.gateway, environment, traceparent),
    head: async () => {
      for (let attempt = 0; ; attempt++) {
        try {
          const { body } = await requests.once('GET', '/v1/head');
          return (body as { cursor: string }).cursor;
        } catch (error) {
          if (!(error instanceof TidemarkClientError) || !error.retryable) throw error;
          await requests.pause(attempt, error);
          if (closing.aborted) throw closedError();
        }
      }
    },
  };
}
