import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { StringDecoder } from 'node:string_decoder';
import {
  type ClientConnection,
  type ConnectionEnd,
  type ConnectionOptions,
  Silence,
} from './connection.ts';
import type { Subscription } from './subscription.ts';

/** An SSE connection with the one subscription of its client. */
export class SseConnection implements ClientConnection {
  readonly ended: Promise<ConnectionEnd>;
  readonly #options: ConnectionOptions;
  readonly #one: Subscription;
  readonly #request: ClientRequest;
  readonly #silence: Silence;
  #response: IncomingMessage | undefined;
  #text = '';
  #code: string | undefined;
  #closing = false;
  #isOver = false;
  #end: (end: ConnectionEnd) => void = () => {};

  constructor(options: ConnectionOptions) {
    const [one] = options.subscriptions;
    if (!one) throw new Error('An SSE connection needs a subscription.');
    this.#options = options;
    this.#one = one;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#request = this.#ask();
    this.#silence = new Silence(options.deadAfterMs, () => this.#request.destroy());
    this.#request.once('error', () => {});
    this.#request.once('close', () => this.#finish());
    this.#request.once('response', (response) => this.#read(response));
    this.#request.end();
  }

  pause(): void {
    if (this.#isOver || !this.#response) return;
    this.#options.recorder.record({ kind: 'reading', connection: this.#name, paused: true });
    this.#response.pause();
    this.#silence.pause(true);
  }

  resume(): void {
    if (this.#isOver || !this.#response?.isPaused()) return;
    this.#options.recorder.record({ kind: 'reading', connection: this.#name, paused: false });
    this.#response.resume();
    this.#silence.pause(false);
  }

  /** An SSE client cannot send a token on its connection. */
  authenticate(): void {}

  close(): void {
    this.#closing = true;
    this.#request.destroy();
  }

  get #name(): string {
    return this.#options.name;
  }

  #ask(): ClientRequest {
    const { recorder, gateway, token } = this.#options;
    const { name: subscription, patterns, deliver, start } = this.#one.choice;
    const { cursor } = this.#one;
    const after = cursor ?? start;
    recorder.record({
      kind: 'subscribe',
      connection: this.#name,
      subscription,
      patterns,
      ...(after !== undefined && { after }),
      deliver,
      resumes: cursor !== undefined,
    });
    const query = new URLSearchParams({ topics: patterns.join(','), deliver });
    if (start !== undefined) query.set('after', start);
    return request(`${gateway.url}/v1/sse?${query}`, {
      agent: false,
      headers: {
        authorization: `Bearer ${token.text}`,
        ...(cursor !== undefined && { 'last-event-id': cursor }),
      },
    });
  }

  #read(response: IncomingMessage): void {
    this.#response = response;
    if (response.statusCode !== 200) this.#code = String(response.statusCode);
    const decoder = new StringDecoder();
    response.on('error', () => {});
    response.on('data', (bytes: Buffer) => {
      this.#silence.heard();
      if (response.statusCode !== 200 || this.#closing) return;
      const blocks = (this.#text + decoder.write(bytes)).split('\n\n');
      this.#text = blocks.pop() ?? '';
      for (const block of blocks) this.#receive(block);
    });
  }

  #receive(block: string): void {
    // The last one of a name counts.
    const field = (name: string) =>
      [...block.matchAll(new RegExp(`^${name}: (.*)$`, 'gm'))].at(-1)?.[1];
    const [id, type, data] = [field('id'), field('event'), field('data')];
    const { recorder, name: connection } = this.#options;
    const subscription = this.#one.choice.name;
    if (data === undefined) return;
    if (type === 'position') {
      if (id !== undefined) this.#receiveCursor(id);
      return;
    }
    const content = JSON.parse(data);
    if (type === undefined) {
      const { topic, id: eventId } = content;
      recorder.record({ kind: 'event', connection, cursor: id ?? '', topic, id: eventId });
    } else if (type === 'error') {
      this.#code = content.code;
    } else if (type === 'live' || type === 'gap' || type === 'skipped') {
      // A subscription that begins with a gap has no other block for its begin.
      if (type === 'gap' && !this.#one.confirmed) this.#receiveCursor(content.to);
      recorder.record({ kind: type, connection, subscription, ...content });
      if (type === 'live') this.#one.live = true;
      if (type === 'gap') this.#one.cursor = content.to;
    }
    if (id !== undefined) this.#one.cursor = id;
  }

  #receiveCursor(cursor: string): void {
    const { recorder, name: connection } = this.#options;
    const subscription = this.#one.choice.name;
    if (this.#one.confirmed) recorder.record({ kind: 'heartbeat', connection, cursor });
    else recorder.record({ kind: 'subscribed', connection, subscription, cursor });
    this.#one.confirmed = true;
    this.#one.cursor = cursor;
  }

  #finish(): void {
    this.#silence.stop();
    this.#isOver = true;
    const hasEnded = this.#code !== undefined || this.#response?.complete === true;
    const by = this.#closing ? 'client' : hasEnded ? 'server' : 'network';
    const code = this.#code === undefined ? {} : { code: this.#code };
    this.#options.recorder.record({
      kind: 'connection-closed',
      connection: this.#name,
      by,
      ...code,
    });
    this.#one.disconnect();
    this.#end({ by, ...code });
  }
}
