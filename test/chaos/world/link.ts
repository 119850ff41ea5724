import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { DelayedPipe } from './delayed-pipe.ts';

/**
 * What a link does with the bytes: `cut` refuses and breaks connections, `silent` keeps them open and
 * passes nothing (a half-open link), `deaf` passes only what the client sends, `mute` only what the
 * server sends.
 */
export type LinkState = 'open' | 'cut' | 'silent' | 'deaf' | 'mute';

interface Pair {
  readonly client: Socket;
  readonly server: Socket;
  readonly fromClient: DelayedPipe;
  readonly fromServer: DelayedPipe;
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
    const delayMs = () => this.#delayMs;
    const pair = {
      client,
      server,
      fromClient: new DelayedPipe(client, server, delayMs),
      fromServer: new DelayedPipe(server, client, delayMs),
    };
    this.#pairs.add(pair);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on('error', () => {});
    }
    client.on('close', () => {
      this.#pairs.delete(pair);
      pair.fromClient.end();
    });
    server.on('close', () => {
      this.#pairs.delete(pair);
      pair.fromServer.end();
    });
    this.#pass(pair);
  }

  #pass({ fromClient, fromServer }: Pair): void {
    const isSilent = this.#state === 'silent';
    fromClient.hold(isSilent || this.#state === 'mute');
    fromServer.hold(isSilent || this.#state === 'deaf');
  }
}

function end({ client, server }: Pick<Pair, 'client' | 'server'>): void {
  client.destroy();
  server.destroy();
}
