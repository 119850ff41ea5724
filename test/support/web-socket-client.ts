import type { CloudEvent, ServerMessage } from '@tidemark/protocol';
import { WebSocket } from 'ws';
import { until } from './until.ts';

/** What the gateway sends, events included. */
export type Message =
  | ServerMessage
  | { readonly type: 'event'; readonly cursor: string; readonly event: CloudEvent }
  | {
      readonly type: 'last';
      readonly id: string;
      readonly cursor: string;
      readonly event: CloudEvent;
    };

export interface WebSocketOptions {
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly protocols?: readonly string[];
  /** Of whom the server's certificate may be, over TLS. */
  readonly ca?: string;
  /** Added to the path. */
  readonly query?: string;
  /** `false`: pings are not answered. */
  readonly autoPong?: boolean;
  readonly onMessage?: (message: Message) => void;
}

/** One WebSocket connection to a gateway, and everything that came over it. */
export class WebSocketClient {
  readonly socket: WebSocket;
  readonly messages: Message[] = [];
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>;
  opened = false;

  constructor(url: string, options: WebSocketOptions = {}) {
    const {
      token,
      headers,
      ca,
      protocols = ['tidemark.v1'],
      query = '',
      onMessage,
      autoPong = true,
    } = options;
    this.socket = new WebSocket(`${url.replace('http', 'ws')}/v1/ws${query}`, [...protocols], {
      autoPong,
      ...(ca !== undefined && { ca }),
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
    });
    this.socket.on('open', () => {
      this.opened = true;
    });
    this.socket.on('message', (bytes) => {
      const message = JSON.parse(String(bytes)) as Message;
      this.messages.push(message);
      onMessage?.(message);
    });
    // A connection that cannot be opened ends with a close (1006) too.
    this.socket.on('error', () => {});
    this.closed = new Promise((resolve) => {
      this.socket.once('close', (code, reason) => resolve({ code, reason: String(reason) }));
    });
  }

  /** Objects as JSON, other things as they are. */
  send(message: object | string | Uint8Array): void {
    if (this.socket.readyState === WebSocket.CONNECTING) {
      this.socket.once('open', () => this.send(message));
    }
    if (this.socket.readyState !== WebSocket.OPEN) return;
    const raw = typeof message === 'string' || message instanceof Uint8Array;
    this.socket.send(raw ? message : JSON.stringify(message));
  }

  all<T extends Message['type']>(type: T, id?: string): Extract<Message, { type: T }>[] {
    return this.messages.filter((message): message is Extract<Message, { type: T }> => {
      return message.type === type && (id === undefined || ('id' in message && message.id === id));
    });
  }

  /** Waits for the first message of that type, and that id where one is given. */
  async first<T extends Message['type']>(
    type: T,
    id?: string,
  ): Promise<Extract<Message, { type: T }>> {
    await until(
      () => this.all(type, id).length > 0,
      () => `${type} ${id ?? ''} among ${JSON.stringify(this.messages.slice(-5))}`,
    );
    return this.all(type, id)[0] as Extract<Message, { type: T }>;
  }

  async close(): Promise<void> {
    // A client that does not read would not see the server's answer to its close.
    if (this.socket.isPaused) this.socket.terminate();
    else this.socket.close();
    await this.closed;
  }
}
