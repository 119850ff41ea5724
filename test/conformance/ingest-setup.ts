import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { readReplayConfiguration } from '@tidemark/config';
import { NatsLink, reconcileStream, STREAM_NAME } from '@tidemark/nats';
import { createLogger } from '@tidemark/telemetry';
import {
  type NatsServer,
  type NatsServerOptions,
  startNatsServer,
} from '../support/nats-server.ts';
import { makeToken, type Service, startService } from '../support/services.ts';

/** What ingest answers, read whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: tests state what they expect of it.
  readonly body: any;
}

export interface PostOptions {
  readonly headers?: Record<string, string>;
  /** `null` sends none. */
  readonly token?: string | null;
}

/** A message of the stream, parsed, as a plain NATS client receives it. */
export interface ReceivedMessage {
  readonly sequence: number;
  readonly subject: string;
  readonly event: Record<string, unknown>;
  readonly traceparent: string;
  readonly tracestate: string;
}

/** A nats-server with the stream, ingest as a process of its own, and an outside reader. */
export interface IngestSetup {
  readonly nats: NatsServer;
  readonly ingest: Service;
  /** Posts to `/v1/events`: objects as bare JSON, strings and bytes as they are. */
  post(body: unknown, options?: PostOptions): Promise<Answer>;
  /** Everything stored, in order. */
  stored(): Promise<ReceivedMessage[]>;
  stop(): Promise<void>;
}

export interface IngestOptions {
  /** Further variables of ingest. */
  readonly env?: Record<string, string>;
  /** Options of the nats-server. */
  readonly nats?: NatsServerOptions;
}

export async function startIngest(options: IngestOptions = {}): Promise<IngestSetup> {
  const { env = {} } = options;
  const nats = await startNatsServer(options.nats);
  await createStream(nats.url);
  const ingest = await startService('ingest', { natsUrl: nats.url, env });
  const token = await makeToken('publish:>', 'alice');
  return {
    nats,
    ingest,
    post: (body, options = {}) => postTo(ingest.url, body, { token, ...options }),
    stored: () => readStream(nats.url),
    async stop() {
      await ingest.stop();
      await nats.stop();
    },
  };
}

export async function createStream(natsUrl: string): Promise<void> {
  const logger = createLogger('test', 'silent');
  const link = await new NatsLink({ servers: natsUrl, name: 'test', logger }).connect();
  await reconcileStream(link, readReplayConfiguration({}), logger);
  await link.close();
}

export async function postTo(url: string, body: unknown, options: PostOptions): Promise<Answer> {
  const raw = typeof body === 'string' || body instanceof Uint8Array;
  const response = await fetch(`${url}/v1/events`, {
    method: 'POST',
    headers: {
      ...(!raw && { 'content-type': 'application/json' }),
      ...(options.token && { authorization: `Bearer ${options.token}` }),
      ...options.headers,
    },
    body: raw ? body : JSON.stringify(body),
  });
  return { status: response.status, headers: response.headers, body: await response.json() };
}

export async function readStream(natsUrl: string): Promise<ReceivedMessage[]> {
  const connection = await connect({ servers: natsUrl });
  try {
    const { streams } = await jetstreamManager(connection);
    const { state } = await streams.info(STREAM_NAME);
    if (state.messages === 0) return [];
    const consumer = await jetstream(connection).consumers.get(STREAM_NAME);
    const messages: ReceivedMessage[] = [];
    for await (const message of await consumer.consume()) {
      messages.push({
        sequence: message.seq,
        subject: message.subject,
        event: message.json(),
        traceparent: message.headers?.get('traceparent') ?? '',
        tracestate: message.headers?.get('tracestate') ?? '',
      });
      if (message.seq >= state.last_seq) break;
    }
    return messages;
  } finally {
    await connection.close();
  }
}
