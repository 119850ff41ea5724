import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * What a link does with the bytes: `cut` refuses and breaks connections, `silent` keeps them open and
 * passes nothing (a half-open link), `deaf` passes only what the client sends, `mute` only what the
 * server sends.
 */
export type LinkState = 'open' | 'cut' | 'silent' | 'deaf' | 'mute';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
}

/** A TCP proxy between two parts of the system. */
export class Link {
  readonly name: string;
  readonly #target: number;
  readonly #server: Server;
  readonly #pairs = new Set<Pair>();
  #state: LinkState = 'open';
  #delayMs = 0;

  private constructor(name: string, target: number, server: Server) {
    this.name = name;
    this.#target = target;
    this.#server = server;
    server.on('connection', (client) => this.#accept(client));
  }

  /** @param target port on this machine */
  static async open(name: string, target: number, port = 0): Promise<Link> {
    const server = createServer();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new Link(name, target, server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Whether it is between two servers of NATS. */
  get isRoute(): boolean {
    return /^nats-\d nats-\d$/.test(this.name);
  }

  set(state: LinkState): void {
    this.#state = state;
    for (const pair of this.#pairs) {
      if (state === 'cut') end(pair);
      else this.#pass(pair);
    }
  }

  /** Delays everything that passes, in both directions. */
  delay(ms: number): void {
    this.#delayMs = ms;
  }

  close(): void {
    this.#server.close();
    for (const pair of this.#pairs) end(pair);
  }

  #accept(client: Socket): void {
    if (this.#state === 'cut') {
      client.resetAndDestroy();
      return;
    }
    const server = connect(this.#target, '127.0.0.1');
    const pair = { client, server };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
      socket.on('close', () => this.#finish(pair));
    }
    this.#forward(client, server);
    this.#forward(server, client);
    this.#pass(pair);
  }

  /** One side has ended: the other gets what is on its way, and then ends too. */
  #finish(pair: Pair): void {
    setTimeout(() => {
      this.#pairs.delete(pair);
      pair.client.destroySoon();
      pair.server.destroySoon();
    }, this.#delayMs);
  }

  #forward(from: Socket, to: Socket): void {
    from.on('data', (bytes) => {
      const send = () => {
        if (to.destroyed || to.write(bytes)) return;
        from.pause();
        to.once('drain', () => this.#resume(from));
      };
      if (this.#delayMs === 0) send();
      else setTimeout(send, this.#delayMs);
    });
  }

  #pass({ client, server }: Pair): void {
    this.#resume(client);
    this.#resume(server);
  }

  #resume(socket: Socket): void {
    const pair = [...this.#pairs].find(
      ({ client, server }) => socket === client || socket === server,
    );
    if (!pair) return;
    const isClient = socket === pair.client;
    const isHeld = this.#state === 'silent' || this.#state === (isClient ? 'mute' : 'deaf');
    if (isHeld) socket.pause();
    else socket.resume();
  }
}

function end({ client, server }: Pair): void {
  client.destroy();
  server.destroy();
}
