import { formatCursor, SUBPROTOCOL } from '@tidemark/protocol';
import { CentrifugoClient } from './centrifugo-client.ts';
import {
  type Client,
  type ClientOptions,
  request,
  SocketClient,
  UPGRADE,
} from './socket-client.ts';
import { SocketIoClient } from './socket-io-client.ts';
import { SseReader } from './sse-reader.ts';
import { WebSocketReader } from './web-socket-reader.ts';

export type { Client, ClientOptions, ClientPlan, Transport } from './socket-client.ts';

export function createClient(options: ClientOptions): Client {
  switch (options.plan.transport) {
    case 'websocket':
      return new WebSocketClient(options);
    case 'sse':
      return new SseClient(options);
    case 'centrifugo':
      return new CentrifugoClient(options);
    case 'socket.io':
      return new SocketIoClient(options);
  }
}

function tokenOf({ plan: { token, tokens = [] }, index }: ClientOptions): string {
  return tokens[index % tokens.length] ?? token;
}

/** What the clients of both transports of the gateway share: their position is a cursor. */
abstract class GatewayClient extends SocketClient {
  get position(): string {
    return formatCursor({ epoch: this.options.plan.epoch, sequence: this.sequence });
  }
}

class WebSocketClient extends GatewayClient {
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

class SseClient extends GatewayClient {
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
