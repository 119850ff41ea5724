import { nowUs } from '../wire/clock.ts';
import { type Check, LoadClient, type Shared } from './load-client.ts';
import { LoadSocket } from './load-socket.ts';
import type { Listener, WireReader } from './wire-reader.ts';

export type Transport = 'websocket' | 'sse' | 'centrifugo' | 'socket.io';

export interface ClientPlan {
  readonly transport: Transport;
  readonly host: string;
  readonly port: number;
  readonly token: string;
  /** The tokens of the clients in turn, in the place of `token`. */
  readonly tokens?: readonly string[];
  readonly epoch: string;
  readonly eventBytes: number;
  /** Whether latencies are read from the events. */
  readonly timed: boolean;
  readonly check: Check;
  /** Whether WebSocket clients subscribe only when all handshakes have been answered. */
  readonly together?: boolean;
  /** Whether WebSocket clients have a subscription for each topic, and not one for all. */
  readonly apart?: boolean;
  /** Of Centrifugo: the namespace of the channels, whose settings they have. */
  readonly namespace?: string;
  /** Of Centrifugo: whether its Protobuf protocol is spoken, in the place of JSON. */
  readonly protobuf?: boolean;
  /** Of Socket.IO: whether the server has connection state recovery. */
  readonly recovers?: boolean;
}

export interface ClientOptions {
  readonly plan: ClientPlan;
  readonly index: number;
  readonly topics: readonly string[];
  /** A cursor, or what a client of another system said was its position; `undefined` starts at the newest event. */
  readonly after: string | undefined;
  readonly shared: Shared;
  /** Called at each stage and when the socket closes. */
  readonly onChange: (client: Client) => void;
}

/** A client with its socket. */
export interface Client extends LoadClient {
  readonly socket: LoadSocket;
  /** Sends the subscription that the client's plan delayed. */
  subscribe(): void;
}

export const UPGRADE = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

export function request(path: string, headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n');
}

/** A client of any system, over one socket. */
export abstract class SocketClient extends LoadClient implements Client {
  readonly socket: LoadSocket;
  protected readonly options: ClientOptions;

  constructor(
    options: ClientOptions,
    text: string,
    createReader: (listener: Listener) => WireReader,
  ) {
    super(options.index, options.shared);
    this.options = options;
    const { host, port } = options.plan;
    this.socket = new LoadSocket({
      host,
      port,
      request: text,
      createReader,
      listener: this,
      onRead: () => {
        if (options.plan.timed) options.shared.readUs = nowUs();
      },
      onClosed: () => {
        this.closed = true;
        options.onChange(this);
      },
    });
  }

  subscribe(): void {}
}
