import { setTimeout as sleep } from 'node:timers/promises';
import type { CloudEvent, ErrorBody, GapReason } from '@tidemark/protocol';
import { EventSource } from 'eventsource';
import { until } from './until.ts';
import { type Message, WebSocketClient } from './web-socket-client.ts';

/*
 * Small clients that do what PROTOCOL.md asks of one, and write down all that they are told. They
 * stand on packages that others wrote, so that what Tidemark sends is read by outsiders.
 */

export type Transport = 'websocket' | 'sse';
export const TRANSPORTS: readonly Transport[] = ['websocket', 'sse'];

/** How long clients wait before they come back. */
const RETURN_MS = 50;

export interface ReceivedEvent {
  readonly type: 'event';
  readonly cursor: string;
  readonly event: CloudEvent;
}

export type Received =
  | ReceivedEvent
  /** The newest event of its topic, before all others. Over SSE nothing tells its cursor. */
  | { readonly type: 'last'; readonly event: CloudEvent }
  | { readonly type: 'live'; readonly cursor: string }
  | {
      readonly type: 'gap';
      readonly from: string;
      readonly to: string;
      readonly reason: GapReason;
    }
  | ({ readonly type: 'error' } & ErrorBody)
  /** The connection ended: over WebSocket with the close code. */
  | { readonly type: 'closed'; readonly code?: number };

export interface ListenOptions {
  /** Base URLs of gateways: each new connection goes to the next one. */
  readonly urls: readonly string[];
  readonly token: string;
  /** Patterns, separated by commas. */
  readonly topics: string;
  /** Types, separated by commas. */
  readonly types?: string;
  readonly after?: string;
}

/** One subscription that comes back at its cursor whenever its connection ends. */
export interface Listener {
  readonly transport: Transport;
  /** What it was told, in the order of arrival, over all its connections. */
  readonly received: readonly Received[];
  readonly events: readonly ReceivedEvent[];
  /** The `id` of each event. */
  readonly ids: readonly string[];
  readonly gaps: readonly Extract<Received, { type: 'gap' }>[];
  readonly cursor: string | undefined;
  /** Cursors that came without an event: the first one, and the heartbeats. */
  readonly idleCursors: readonly string[];
  /** How many connections were opened. */
  readonly connections: number;
  readonly live: boolean;
  stop(): Promise<void>;
}

export function listen(transport: Transport, options: ListenOptions): Listener {
  return transport === 'sse' ? new SseListener(options) : new WebSocketListener(options);
}

/** Its events by id, and its gaps: what it was told, without what a lost connection and the end of a catch-up add. */
export function outline({ received }: Pick<Listener, 'received'>): unknown[] {
  return received.flatMap((one): unknown[] => {
    if (one.type === 'event') return [one.event.id];
    return one.type === 'gap' ? [one] : [];
  });
}

/** Waits until the listener has as many events. */
export async function untilEvents(listener: Listener, count: number): Promise<void> {
  await until(
    () => listener.ids.length >= count,
    () => `${count} events over ${listener.transport}; there are ${listener.ids.length}`,
  );
}

abstract class Recording {
  readonly received: Received[] = [];
  readonly events: ReceivedEvent[] = [];
  readonly ids: string[] = [];
  readonly idleCursors: string[] = [];
  cursor: string | undefined;
  connections = 0;
  live = false;

  get gaps(): Extract<Received, { type: 'gap' }>[] {
    return this.received.filter((one) => one.type === 'gap');
  }

  protected record(one: Received): void {
    this.received.push(one);
    if (one.type === 'live') this.live = true;
    if (one.type === 'closed') this.live = false;
    if (one.type !== 'event') return;
    this.events.push(one);
    this.ids.push(one.event.id);
  }
}

class WebSocketListener extends Recording implements Listener {
  readonly transport = 'websocket';
  readonly #options: ListenOptions;
  #client: WebSocketClient | undefined;
  #stopped = false;

  constructor(options: ListenOptions) {
    super();
    this.#options = options;
    void this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#client?.close();
  }

  async #run(): Promise<void> {
    const { urls, token } = this.#options;
    for (let attempt = 0; !this.#stopped; attempt++) {
      const client = new WebSocketClient(urls[attempt % urls.length] ?? '', {
        token,
        onMessage: (message) => this.#receive(client, message),
      });
      this.#client = client;
      const { code } = await client.closed;
      if (client.opened) this.record({ type: 'closed', code });
      if (code >= 4500) return;
      await sleep(RETURN_MS);
    }
  }

  #receive(client: WebSocketClient, message: Message): void {
    switch (message.type) {
      case 'welcome':
        this.connections++;
        this.#subscribe(client);
        return;
      case 'subscribed':
        // Whoever begins at the last events comes back for all of them until something follows.
        if (this.#begins) return;
        this.idleCursors.push(message.cursor);
        break;
      case 'last':
        this.record({ type: 'last', event: message.event });
        return;
      case 'heartbeat':
        if (message.cursor === undefined) return;
        this.idleCursors.push(message.cursor);
        break;
      case 'event':
        this.record(message);
        break;
      case 'live':
        this.record({ type: 'live', cursor: message.cursor });
        break;
      case 'gap': {
        const { from, to, reason } = message;
        this.record({ type: 'gap', from, to, reason });
        if (!this.#begins) this.cursor = to;
        return;
      }
      case 'error':
        this.record(message);
        if (message.retryable) setTimeout(() => this.#subscribe(client), RETURN_MS);
        return;
      default:
        return;
    }
    this.cursor = message.cursor;
  }

  get #begins(): boolean {
    return this.cursor === undefined && this.#options.after === 'last';
  }

  #subscribe(client: WebSocketClient): void {
    const after = this.cursor ?? this.#options.after;
    const topics = this.#options.topics.split(',');
    const types = this.#options.types?.split(',');
    client.send({
      type: 'subscribe',
      id: 'only',
      topics,
      ...(types && { types }),
      ...(after !== undefined && { after }),
    });
  }
}

class SseListener extends Recording implements Listener {
  readonly transport = 'sse';
  readonly #options: ListenOptions;
  readonly #source: EventSource;
  #attempts = 0;

  constructor(options: ListenOptions) {
    super();
    this.#options = options;
    const query = new URLSearchParams({ topics: options.topics });
    if (options.types !== undefined) query.set('types', options.types);
    if (options.after !== undefined) query.set('after', options.after);
    const source = new EventSource(`${options.urls[0]}/v1/sse?${query}`, {
      fetch: (url, init) => this.#fetch(new URL(url), init as RequestInit),
    });
    source.addEventListener('message', ({ data, lastEventId }) => {
      const event = JSON.parse(data);
      if (lastEventId === '') this.record({ type: 'last', event });
      else this.record({ type: 'event', cursor: lastEventId, event });
    });
    for (const type of ['live', 'gap'] as const) {
      source.addEventListener(type, ({ data }) => this.record({ type, ...JSON.parse(data) }));
    }
    source.addEventListener('error', (event) => {
      // The server's `event: error` has data; the client's own error tells of a lost connection.
      if ('data' in event) this.record({ type: 'error', ...JSON.parse(String(event.data)) });
      else this.record({ type: 'closed' });
    });
    this.#source = source;
  }

  async stop(): Promise<void> {
    this.#source.close();
  }

  async #fetch(url: URL, init: RequestInit): Promise<Response> {
    const { urls, token } = this.#options;
    url.host = new URL(urls[this.#attempts++ % urls.length] ?? '').host;
    const headers = new Headers(init.headers);
    headers.set('authorization', `Bearer ${token}`);
    const response = await fetch(url, { ...init, headers });
    this.connections++;
    if (response.status !== 200) return response;
    return new Response(response.body?.pipeThrough(this.#cursorWatch()) ?? null, response);
  }

  /** Follows the `id` of each complete block. */
  #cursorWatch(): TransformStream<Uint8Array, Uint8Array> {
    const decoder = new TextDecoder();
    let text = '';
    return new TransformStream({
      transform: (bytes, out) => {
        text += decoder.decode(bytes, { stream: true });
        const blocks = text.split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          // The last one counts.
          const id = [...block.matchAll(/^id: (.*)$/gm)].at(-1)?.[1];
          if (id !== undefined) this.cursor = id;
          if (id !== undefined && /^event: position$/m.test(block)) this.idleCursors.push(id);
        }
        out.enqueue(bytes);
      },
    });
  }
}
