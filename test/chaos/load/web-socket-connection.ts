import type { CloudEvent, ServerMessage } from '@tidemark/protocol';
import { WebSocket } from 'ws';
import {
  type ClientConnection,
  type ConnectionEnd,
  type ConnectionOptions,
  Silence,
} from './connection.ts';
import type { Subscription } from './subscription.ts';
import type { MadeToken } from './tokens.ts';

type Message = ServerMessage | { type: 'event'; cursor: string; event: CloudEvent };

const HANDSHAKE_MS = 5000;
const CLOSE_MS = 1000;

/** How long a client waits before it asks again for a subscription that ended with an error. */
const RETRY_MS = 200;

/** A WebSocket connection with all subscriptions of its client. */
export class WebSocketConnection implements ClientConnection {
  readonly ended: Promise<ConnectionEnd>;
  readonly #options: ConnectionOptions;
  readonly #socket: WebSocket;
  readonly #silence: Silence;
  #next: MadeToken | undefined;
  /** The status of a refused handshake. */
  #refusal: string | undefined;
  #closing = false;
  #isOver = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { recorder, name: connection, gateway, token, deadAfterMs } = options;
    this.#socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/v1/ws`, ['tidemark.v1'], {
      headers: { authorization: `Bearer ${token.text}` },
      handshakeTimeout: HANDSHAKE_MS,
    });
    this.#silence = new Silence(deadAfterMs, () => this.#socket.terminate());
    this.#socket.on('message', (bytes) => this.#receive(JSON.parse(String(bytes)) as Message));
    this.#socket.on('error', () => {});
    this.#socket.on('ping', () => this.#silence.heard());
    this.#socket.on('unexpected-response', (_request, response) => {
      this.#refusal = String(response.statusCode);
      response.resume();
      this.#socket.terminate();
    });
    this.ended = new Promise((resolve) => {
      this.#socket.once('close', (closeCode) => {
        this.#silence.stop();
        this.#isOver = true;
        const code = this.#refusal ?? closeCode;
        const by = this.#closing ? 'client' : code === 1006 ? 'network' : 'server';
        recorder.record({ kind: 'connection-closed', connection, by, code });
        for (const one of options.subscriptions) one.disconnect();
        resolve({ by, code });
      });
    });
  }

  pause(): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#options.recorder.record({ kind: 'reading', connection: this.#name, paused: true });
    this.#socket.pause();
    this.#silence.pause(true);
  }

  resume(): void {
    if (this.#isOver || !this.#socket.isPaused) return;
    this.#options.recorder.record({ kind: 'reading', connection: this.#name, paused: false });
    this.#socket.resume();
    this.#silence.pause(false);
  }

  authenticate(token: MadeToken): void {
    this.#next = token;
    this.#send({ type: 'authenticate', token: token.text });
  }

  close(): void {
    this.#closing = true;
    this.resume();
    this.#socket.close();
    // A gateway that hangs does not answer the close.
    setTimeout(() => this.#socket.terminate(), CLOSE_MS).unref();
  }

  get #name(): string {
    return this.#options.name;
  }

  #send(message: object): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  #subscribe(one: Subscription): void {
    if (this.#isOver || this.#closing) return;
    const { name: subscription, patterns, deliver, start } = one.choice;
    const after = one.cursor ?? start;
    this.#options.recorder.record({
      kind: 'subscribe',
      connection: this.#name,
      subscription,
      patterns,
      ...(after !== undefined && { after }),
      deliver,
      resumes: one.cursor !== undefined,
    });
    const started = after === undefined ? {} : { after };
    this.#send({ type: 'subscribe', id: subscription, topics: patterns, deliver, ...started });
  }

  #receive(message: Message): void {
    this.#silence.heard();
    const { recorder, subscriptions, name: connection } = this.#options;
    switch (message.type) {
      case 'welcome':
        for (const one of subscriptions) this.#subscribe(one);
        return;
      case 'event': {
        const { cursor, event } = message;
        recorder.record({ kind: 'event', connection, cursor, topic: event.topic, id: event.id });
        for (const one of subscriptions) if (one.takes(event.topic, cursor)) one.cursor = cursor;
        return;
      }
      case 'heartbeat': {
        const { cursor } = message;
        if (cursor === undefined) return;
        recorder.record({ kind: 'heartbeat', connection, cursor });
        for (const one of subscriptions) {
          if (one.confirmed && one.isBefore(cursor)) one.cursor = cursor;
        }
        return;
      }
      case 'authenticated':
        if (this.#next)
          recorder.record({ kind: 'authenticated', connection, token: this.#next.name });
        return;
      case 'subscribed':
      case 'live':
      case 'gap':
      case 'skipped':
      case 'error':
        this.#receiveFor(message);
        return;
    }
  }

  /** A message that names a subscription. */
  #receiveFor(message: Extract<Message, { id?: string }>): void {
    const { recorder, subscriptions, name: connection } = this.#options;
    const one = subscriptions.find(({ choice }) => choice.name === message.id);
    if (!one) return;
    const subscription = one.choice.name;
    switch (message.type) {
      case 'subscribed':
        recorder.record({ kind: 'subscribed', connection, subscription, cursor: message.cursor });
        one.cursor = message.cursor;
        one.confirmed = true;
        return;
      case 'live':
        recorder.record({ kind: 'live', connection, subscription, cursor: message.cursor });
        one.live = true;
        return;
      case 'gap': {
        const { from, to, reason } = message;
        recorder.record({ kind: 'gap', connection, subscription, from, to, reason });
        one.cursor = to;
        return;
      }
      case 'skipped': {
        const { count, cursor } = message;
        recorder.record({ kind: 'skipped', connection, subscription, count, cursor });
        return;
      }
      case 'error':
        recorder.record({ kind: 'unsubscribed', connection, subscription, code: message.code });
        one.disconnect();
        setTimeout(() => this.#subscribe(one), RETRY_MS);
        return;
    }
  }
}
