import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** What comes back from an origin that is away: nothing, or the status of a proxy in front of it. */
export type Absence = 'reset' | '502';

/** A request for a stream that reached the gateway. */
export interface Asked {
  /** The cursor that it came back with, and where that stood. */
  readonly cursor: string | undefined;
  readonly in: 'header' | 'query' | undefined;
}

const BAD_GATEWAY = 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n';

/** Long enough for a client to read what arrived before a cut. */
const SETTLE_MS = 100;

/** What is kept of a stream, to find a text in that arrives in parts. */
const KEPT_CHARACTERS = 200;

/** A TCP proxy between one client and the gateway, which cuts connections with a reset. */
export class CuttingProxy {
  readonly asked: Asked[] = [];
  /** The last cursor of a `position` block that was passed on. */
  position = '';
  live = false;
  readonly #target: number;
  readonly #server: Server;
  readonly #clients = new Set<Socket>();
  #absence: Absence | undefined;
  #cut: { readonly text: string; readonly done: () => void } | undefined;

  private constructor(target: number, server: Server) {
    this.#target = target;
    this.#server = server;
    server.on('connection', (client) => this.#accept(client));
  }

  /** @param target a port of this machine */
  static async start(target: number): Promise<CuttingProxy> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new CuttingProxy(target, server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Passes everything up to this text, once, and then cuts. @returns resolves after the cut */
  cutAfter(text: string): Promise<void> {
    return new Promise((done) => {
      this.#cut = { text, done };
    });
  }

  /** Cuts all connections, and lets none through until `comeBack`. */
  goAway(absence: Absence): void {
    this.#absence = absence;
    for (const client of this.#clients) client.resetAndDestroy();
  }

  comeBack(): void {
    this.#absence = undefined;
  }

  stop(): void {
    this.#server.close();
    for (const client of this.#clients) client.destroy();
  }

  #accept(client: Socket): void {
    client.on('error', () => {});
    if (this.#absence === 'reset') {
      client.resetAndDestroy();
      return;
    }
    if (this.#absence === '502') {
      client.end(BAD_GATEWAY);
      client.resume();
      return;
    }
    this.#clients.add(client);
    const upstream = connect(this.#target, '127.0.0.1');
    client.on('close', () => {
      this.#clients.delete(client);
      upstream.destroy();
    });
    client.on('data', (bytes) => {
      this.#note(bytes.toString('latin1'));
      upstream.write(bytes);
    });
    upstream.on('error', () => client.resetAndDestroy());
    upstream.on('end', () => client.end());
    this.#passOn(upstream, client);
  }

  #passOn(upstream: Socket, client: Socket): void {
    let kept = '';
    upstream.on('data', (bytes) => {
      const text = kept + bytes.toString('latin1');
      const cut = this.#cut;
      const at = cut ? text.indexOf(cut.text) : -1;
      if (cut && at >= 0) {
        this.#cut = undefined;
        client.write(bytes.subarray(0, at + cut.text.length - kept.length));
        upstream.pause();
        setTimeout(() => {
          client.resetAndDestroy();
          cut.done();
        }, SETTLE_MS);
        return;
      }
      client.write(bytes);
      this.#follow(text);
      kept = text.slice(-KEPT_CHARACTERS);
    });
  }

  #note(head: string): void {
    const target = /^(?:GET|POST) (\S+) HTTP/.exec(head)?.[1];
    if (target === undefined) return;
    const header = /^last-event-id: *(\S+)\r$/im.exec(head)?.[1];
    const query = new URL(target, this.url).searchParams.get('lastEventId') ?? undefined;
    const place = header ? 'header' : query ? 'query' : undefined;
    this.asked.push({ cursor: header ?? query, in: place });
  }

  #follow(text: string): void {
    if (text.includes('event: live\n')) this.live = true;
    for (const [, cursor] of text.matchAll(/event: position\ndata: \{"cursor":"([^"]+)"/g)) {
      this.position = cursor ?? '';
    }
  }
}
