import { Connection } from './connection.ts';
import { type Environment, systemEnvironment } from './environment.ts';
import { closedError, TidemarkClientError } from './errors.ts';
import { JoinedState } from './join.ts';
import { memoryStore } from './memory-store.ts';
import { Publisher } from './publisher.ts';
import { Requests } from './requests.ts';
import { LiveSnapshot } from './snapshot.ts';
import { StoredCursor } from './stored-cursor.ts';
import { OpenSubscription } from './subscription.ts';
import { TokenKeeper } from './token.ts';
import { Transports } from './transports.ts';
import type {
  ConnectOptions,
  EventMap,
  RequestOptions,
  SubscribeOptions,
  Tidemark,
} from './types.ts';

/**
 * Connects to a gateway. Nothing opens before the first subscription.
 *
 * ```ts
 * const tidemark = connect({ url, token: () => fetchToken() });
 * for await (const event of tidemark.subscribe('orders.*', { after: 'last' })) render(event);
 * ```
 */
export function connect<Events extends EventMap = Record<string, unknown>>(
  options: ConnectOptions,
): Tidemark<Events> {
  return connectIn<Events>(systemEnvironment(), options);
}

/** `connect` with other clocks, sockets and requests than those of the platform; for tests. */
export function connectIn<Events extends EventMap>(
  environment: Environment,
  options: ConnectOptions,
): Tidemark<Events> {
  const urls = serviceUrls(options);
  const closing = new AbortController();
  const traceparent = options.traceparent ?? (() => undefined);
  const tokens = new TokenKeeper(options.token, environment);
  const requests = new Requests(urls, tokens, environment, traceparent, closing.signal);
  const transports = new Transports(urls.gateway, environment, traceparent);
  const connection = new Connection(transports, tokens, requests, environment);
  const store = options.store ?? memoryStore();
  const publisher = new Publisher(requests, environment.random, closing.signal);
  const cursors = new Set<StoredCursor>();
  const cancelLeave = environment.onLeave(() => {
    for (const cursor of cursors) cursor.flush();
    connection.leave();
  });

  const subscribe = (topics: string | readonly string[], options: SubscribeOptions = {}) => {
    if (closing.signal.aborted) throw closedError();
    const cursor = new StoredCursor(options.name, store, environment);
    if (options.name !== undefined) cursors.add(cursor);
    const subscription = new OpenSubscription(connection, [topics].flat(), options, cursor);
    begin(subscription, cursor, connection);
    return subscription;
  };

  /** An outage is no answer: the end of the log is asked for until there is one. */
  const head = async (): Promise<string> => {
    for (let attempt = 0; ; attempt++) {
      try {
        const { body } = await requests.once('GET', '/v1/head');
        return (body as { cursor: string }).cursor;
      } catch (error) {
        if (!(error instanceof TidemarkClientError) || !error.retryable) throw error;
        await requests.pause(attempt, error);
        if (closing.signal.aborted) throw closedError();
      }
    }
  };

  const tidemark: Tidemark<Record<string, unknown>> = {
    get status() {
      return connection.status;
    },
    on: (_type, handle) => connection.onStatus(handle),
    subscribe,
    snapshot: (topics, options = {}) =>
      new LiveSnapshot((more) => subscribe(topics, more), options),
    join: (options) => new JoinedState({ head, subscribe }, options),
    publish: async (event, options) => {
      if (closing.signal.aborted) throw closedError();
      return publisher.publish(event, options);
    },
    authenticate: () => connection.authenticate(),
    request: async <Body>(method: string, path: string, options?: RequestOptions) => {
      const answer = await requests.send(method, path, options);
      return { ...answer, body: answer.body as Body };
    },
    close: () => {
      closing.abort(closedError());
      cancelLeave();
      connection.close();
    },
  };
  return tidemark as unknown as Tidemark<Events>;
}

function serviceUrls({ url, ingestUrl = url, replayUrl = url }: ConnectOptions) {
  const base = (address: string) => address.replace(/\/+$/, '');
  return { gateway: base(url), ingest: base(ingestUrl), replay: base(replayUrl) };
}

/** A named subscription begins once its cursor has been read. */
function begin(subscription: OpenSubscription, cursor: StoredCursor, connection: Connection): void {
  cursor.read().then(
    (stored) => {
      subscription.startAt(stored);
      if (!subscription.isEnded) connection.add(subscription);
    },
    (error: TidemarkClientError) => subscription.end(error),
  );
}
