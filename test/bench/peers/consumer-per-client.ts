import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Consumer,
  DeliverPolicy,
  type JetStreamClient,
  jetstream,
  jetstreamManager,
} from '@nats-io/jetstream';
import { connect, type NatsConnection, TimeoutError } from '@nats-io/transport-node';
import { STREAM_NAME } from '@tidemark/nats';
import {
  formatCursor,
  parseCursor,
  SUBPROTOCOL,
  toSubject,
  WEB_SOCKET_EVENT_SUFFIX,
  webSocketEventPrefix,
} from '@tidemark/protocol';
import { type WebSocket, WebSocketServer } from 'ws';
import { serveCommands } from '../system/commands.ts';

/** Most consumers created at once. With all at once the requests of the last ones time out. */
const CREATIONS_MAX = 16;

const CONSUMERS_MAX = 100_000;

/** The usual design: every returning client gets a JetStream consumer of its own. */
let stream: JetStreamClient;
let epoch = '';
const http = createServer();
const waiting: (() => void)[] = [];
let creating = 0;

const webSockets = new WebSocketServer({
  server: http,
  perMessageDeflate: false,
  handleProtocols: () => SUBPROTOCOL,
});
webSockets.on('connection', (webSocket) => {
  webSocket.once('message', (bytes) => {
    void serve(webSocket, JSON.parse(bytes.toString()));
  });
});

async function serve(
  webSocket: WebSocket,
  { topics, after }: { topics: string[]; after: string },
): Promise<void> {
  const { sequence } = parseCursor(after);
  const consumer = await create(topics.map(toSubject), sequence + 1);
  webSocket.send(JSON.stringify({ type: 'subscribed', id: 's', cursor: after }));
  const messages = await consumer.consume();
  webSocket.once('close', () => void messages.close());
  for await (const message of messages) {
    const position = { epoch, sequence: message.seq };
    webSocket.send(webSocketEventPrefix(position) + message.string() + WEB_SOCKET_EVENT_SUFFIX);
    if (message.info.pending === 0) {
      webSocket.send(JSON.stringify({ type: 'live', id: 's', cursor: formatCursor(position) }));
    }
  }
}

async function create(subjects: string[], sequence: number): Promise<Consumer> {
  if (creating >= CREATIONS_MAX) await new Promise<void>((resolve) => waiting.push(resolve));
  else creating++;
  try {
    for (;;) {
      try {
        return await stream.consumers.get(STREAM_NAME, {
          filter_subjects: subjects,
          deliver_policy: DeliverPolicy.StartSequence,
          opt_start_seq: sequence,
        });
      } catch (error) {
        // The server is too busy with its consumers to answer in time.
        if (!(error instanceof TimeoutError)) throw error;
      }
    }
  } finally {
    const next = waiting.shift();
    if (next) next();
    else creating--;
  }
}

/** From 2.15 on the server refuses more than 1,000 consumers, unless the stream's limit is set. */
async function allowConsumers(connection: NatsConnection): Promise<void> {
  const { streams } = await jetstreamManager(connection);
  const { config } = await streams.info(STREAM_NAME);
  if (config.max_consumers >= CONSUMERS_MAX) return;
  // The library's own update leaves this field out, because older servers could not change it.
  const changed = JSON.stringify({ ...config, max_consumers: CONSUMERS_MAX });
  const reply = await connection.request(`$JS.API.STREAM.UPDATE.${STREAM_NAME}`, changed);
  const { error } = reply.json<{ error?: { description: string } }>();
  if (error) throw new Error(`The stream takes no more consumers: ${error.description}`);
}

const commands = {
  async listen(options: { natsUrl: string; epoch: string }) {
    epoch = options.epoch;
    const connection = await connect({ servers: options.natsUrl, noAsyncTraces: true });
    stream = jetstream(connection);
    await allowConsumers(connection);
    http.listen(0, '127.0.0.1');
    await once(http, 'listening');
    return { port: (http.address() as AddressInfo).port };
  },
};
export type ConsumerPeerCommands = typeof commands;

serveCommands(commands);
