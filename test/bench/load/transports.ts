import { SUBPROTOCOL } from '@tidemark/protocol';
import { nowUs } from '../wire/clock.ts';
import { type Check, LoadClient, type Shared } from './load-client.ts';
import { LoadSocket } from './load-socket.ts';
import { SocketIoReader } from './socket-io-reader.ts';
import { SseReader } from './sse-reader.ts';
import { WebSocketReader } from './web-socket-reader.ts';
import type { Listener, WireReader } from './wire-reader.ts';

export type Transport = 'websocket' | 'sse' | 'socket.io';

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
}

export interface ClientOptions {
  readonly plan: ClientPlan;
  readonly index: number;
  readonly topics: readonly string[];
  /** A cursor; `undefined` starts at the newest event. */
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

export function createClient(options: ClientOptions): Client {
  if (options.plan.transport === 'websocket') return new WebSocketClient(options);
  if (options.plan.transport === 'sse') return new SseClient(options);
  return new SocketIoClient(options);
}

const UPGRADE = [
  'Upgrade: websocket',
  'Connection: Upgrade',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];

function request(path: string, headers: readonly string[]): string {
  return [`GET ${path} HTTP/1.1`, 'Host: 127.0.0.1', ...headers, '', ''].join('\r\n');
}

abstract class SocketClient extends LoadClient implements Client {
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

function tokenOf({ plan: { token, tokens = [] }, index }: ClientOptions): string {
  return tokens[index % tokens.length] ?? token;
}

class WebSocketClient extends SocketClient {
  #catchingUp = 0;

  constructor(options: ClientOptions) {
    const token = tokenOf(options);
    const headers = [
      ...UPGRADE,
      `Sec-WebSocket-Protocol: ${SUBPROTOCOL}`,
      `Authorization: Bearer ${token}`,
    ];
    super(options, request('/v1/ws', headers), (listener) => {
      return new WebSocketReader(listener, {
        ...options.plan,
        onPing: () => this.socket.sendPong(),
      });
    });
  }

  onHead(head: string): void {
    this.opened(head, 101);
    if (!this.options.plan.together) this.subscribe();
    this.options.onChange(this);
  }

  override subscribe(): void {
    const { topics, after, plan } = this.options;
    const sets = plan.apart ? topics.map((topic) => [topic]) : [topics];
    this.#catchingUp = sets.length;
    for (const [index, set] of sets.entries()) {
      const more = after !== undefined && { after };
      this.socket.sendText(
        JSON.stringify({ type: 'subscribe', id: `s${index}`, topics: set, ...more }),
      );
    }
  }

  onControl(text: string): void {
    const message = JSON.parse(text);
    if (message.type === 'subscribed') this.begin(message.cursor);
    else if (message.type === 'live') {
      this.#catchingUp--;
      if (this.#catchingUp === 0) this.live();
    } else if (message.type === 'gap' || message.type === 'error') this.onFault(text);
    this.options.onChange(this);
  }
}

class SseClient extends SocketClient {
  constructor(options: ClientOptions) {
    const token = tokenOf(options);
    const query = new URLSearchParams({ topics: options.topics.join(',') });
    if (options.after !== undefined) query.set('after', options.after);
    const headers = ['Accept: text/event-stream', `Authorization: Bearer ${token}`];
    super(options, request(`/v1/sse?${query}`, headers), (listener) => {
      return new SseReader(listener, options.plan);
    });
  }

  onHead(head: string): void {
    this.opened(head, 200);
    this.options.onChange(this);
  }

  onControl(text: string): void {
    const cursor = /^id: (.*)$/m.exec(text)?.[1];
    const event = /^event: (.*)$/m.exec(text)?.[1];
    if (event === 'gap' || event === 'error') this.onFault(text);
    else if (event === 'live') this.live();
    else if (cursor !== undefined) this.begin(cursor);
    this.options.onChange(this);
  }
}

/** A client of Engine.IO 4 over WebSocket: `0` opens, `40` joins the namespace, `2` is a ping. */
class SocketIoClient extends SocketClient {
  constructor(options: ClientOptions) {
    const path = '/socket.io/?EIO=4&transport=websocket';
    super(options, request(path, UPGRADE), (listener) => {
      return new SocketIoReader(listener, options.plan);
    });
  }

  onHead(head: string): void {
    this.opened(head, 101);
    this.options.onChange(this);
  }

  onControl(text: string): void {
    if (text.startsWith('0')) this.socket.sendText('40');
    else if (text.startsWith('40')) {
      this.begin('socketio-0');
      this.live();
    } else if (text === '2') this.socket.sendText('3');
    else if (text.startsWith('44')) this.onFault(text);
    this.options.onChange(this);
  }
}
