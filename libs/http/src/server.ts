import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import {
  type AddressInfo,
  createServer as createPlainServer,
  type Server as NetServer,
  type Socket,
} from 'node:net';
import type { Duplex } from 'node:stream';
import { ConfigurationError } from '@tidemark/config';
import { TidemarkError } from '@tidemark/protocol';
import type { Logger } from '@tidemark/telemetry';
import { Answers } from './answers.ts';
import { heirOf } from './bare-socket.ts';
import type { AddressSockets, ConnectionLimiter } from './connection-limiter.ts';
import { refuseUpgrade } from './error-response.ts';
import type { Limits } from './limits.ts';

/** Longer than the 60 s after which common proxies close the idle connections that they reuse. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How often Node looks for requests that take too long. */
const TIMEOUT_CHECK_MS = 5_000;
/** Idle time after which TCP probes a silent peer. */
const TCP_KEEP_ALIVE_MS = 60_000;

/**
 * Most answers of one socket that are under way. Node reads a few thousand requests from a socket at once,
 * and gives all of them to the application before anybody else is served.
 */
const ANSWERS_PER_SOCKET_MAX = 8;

/** Where a server listens. */
export interface ListenOptions {
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  /** Whether several processes listen on the port, among which the kernel divides the connections. */
  readonly reusePort?: boolean;
}

/** The limits of a server. */
export interface ServerOptions {
  /** Unsent bytes at which a socket asks its writer to wait (`highWaterMark`); Node's default if absent. */
  readonly socketBufferBytes?: number;
  /** Time to send the request line and headers. */
  readonly headersTimeoutMs?: number;
  /** Time to send a whole request. It does not limit the answer. */
  readonly requestTimeoutMs?: number;
  /** How long a client may read nothing of its answer before the socket is closed. */
  readonly answerStallMs?: number;
  readonly headerBytesMax?: number;
  /** Most sockets at once, with those that have sent nothing; a further one is closed. */
  readonly socketsMax?: number;
  /** Is told when one of these limits is reached. */
  readonly limits?: Pick<Limits, 'hit'>;
  /** Limits the sockets of an address. */
  readonly connectionLimiter?: ConnectionLimiter;
}

/** The limit and status of requests that Node cannot parse, by the code of Node's error. */
const UNREADABLE: Readonly<Record<string, readonly [limit: string, status: number]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request_time', 408],
  HPE_HEADER_OVERFLOW: ['header_bytes', 431],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: ['header_bytes', 413],
};

/**
 * An HTTP server with explicit limits, which finishes running requests before it ends.
 *
 *     new ── listen ──> listening ── stop ──> draining ── answers done, or drainMs over ──> closed
 */
export class HttpServer {
  readonly server: Server;
  readonly #logger: Logger;
  /** Every socket, with the count of its address where that is limited. */
  readonly #sockets = new Map<Socket, AddressSockets | undefined>();
  /** One function for all sockets: a hundred thousand of their own would be 12 MB. */
  readonly #onClosed: (this: Socket) => void;
  readonly #answers = new Answers();
  readonly #limits: ServerOptions['limits'];
  #draining = false;

  constructor(application: RequestListener, logger: Logger, options: ServerOptions = {}) {
    const { headersTimeoutMs = 10_000, requestTimeoutMs = 30_000, limits } = options;
    const { answerStallMs = 30_000 } = options;
    this.#logger = logger;
    this.#limits = limits;
    const { connectionLimiter } = options;
    const dropSocket = (socket: Socket) => this.#dropSocket(socket, connectionLimiter);
    this.#onClosed = function onClosed() {
      dropSocket(this);
    };
    this.server = createServer({
      ...(options.socketBufferBytes !== undefined && { highWaterMark: options.socketBufferBytes }),
      headersTimeout: headersTimeoutMs,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, Math.ceil(headersTimeoutMs / 2)),
      maxHeaderSize: options.headerBytesMax ?? 16 * 1024,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      noDelay: true,
    });
    // The bytes of headers are limited. A limit on their number would silently drop the last ones, such
    // as the address that a proxy appends.
    this.server.maxHeadersCount = 0;
    this.server.on('timeout', (socket) => this.#endIdle(socket, answerStallMs));
    this.server.on('connection', (socket) => this.#takeSocket(socket, connectionLimiter));
    this.server.on('request', (request, response) => {
      if (!this.#mayAnswer(request.socket)) return;
      // Not for every socket: a WebSocket would hold the timer for as long as it lives.
      request.socket.setTimeout(answerStallMs);
      this.#keepAnswer(response);
      application(request, response);
    });
    // Other expectations than 100-continue may be ignored (RFC 9110 section 10.1.1).
    this.server.on('checkExpectation', (...exchange) => this.server.emit('request', ...exchange));
    this.server.on('clientError', (error, socket) => this.#refuse(error, socket));
    if (options.socketsMax !== undefined) this.server.maxConnections = options.socketsMax;
    this.server.on('drop', () => limits?.hit('sockets'));
  }

  /**
   * Starts to listen.
   *
   * @returns the port
   * @throws ConfigurationError when the address cannot be listened on
   */
  async listen(options: ListenOptions): Promise<number> {
    const { host } = options;
    const { port } = await listenOn(this.server, options);
    this.#logger.info({ host, port }, 'listening');
    return port;
  }

  /**
   * Gives upgrades to the listener. One that comes while the answer to an earlier request is under way gets
   * none: that answer would be written into the stream of the upgraded connection.
   */
  onUpgrade(listener: (request: IncomingMessage, socket: Socket, head: Buffer) => void): void {
    this.server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      if (this.#answers.countOf(socket) > 0) socket.destroy();
      else listener(request, socket, head);
    });
  }

  /** Refuses new connections, lets running requests finish, and closes the rest after `drainMs`. */
  async stop(drainMs: number): Promise<void> {
    this.#draining = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const answer of this.#answers) announceClose(answer);
    const deadline = setTimeout(() => {
      if (this.#sockets.size > 0) {
        this.#logger.warn(
          { connections: this.#sockets.size },
          'closing connections that did not end in time',
        );
      }
      for (const socket of this.#sockets.keys()) socket.destroy();
    }, drainMs);
    await closed;
    clearTimeout(deadline);
  }

  #takeSocket(socket: Socket, connectionLimiter: ConnectionLimiter | undefined): void {
    const counted = connectionLimiter?.acquire(socket);
    if (counted === 'full') {
      // It has sent no request that could be answered.
      socket.destroy();
      return;
    }
    this.#keepSocket(socket, typeof counted === 'object' ? counted : undefined);
  }

  #keepSocket(socket: Socket, counted: AddressSockets | undefined): void {
    this.#sockets.set(socket, counted);
    // Not `once`, which holds four objects more for each socket.
    socket.on('close', this.#onClosed);
  }

  #dropSocket(socket: Socket, connectionLimiter: ConnectionLimiter | undefined): void {
    const counted = this.#sockets.get(socket);
    this.#sockets.delete(socket);
    const heir = heirOf(socket);
    if (heir && !heir.closed) this.#keepSocket(heir, counted);
    else if (counted) connectionLimiter?.release(counted);
  }

  /** Ends a socket that was idle: its client does not read the answer, or sends no further request. */
  #endIdle(socket: Socket, answerStallMs: number): void {
    const answer = this.#answers.currentOf(socket);
    if (socket.writableLength === 0 && answer && !answer.writableEnded) {
      // The client waits for the server.
      socket.setTimeout(answerStallMs);
      return;
    }
    if (answer) this.#limits?.hit('answer_time');
    socket.destroy();
  }

  /** Answers input that is not HTTP with the status of its fault, where an answer is possible. */
  #refuse({ code = '' }: NodeJS.ErrnoException, socket: Duplex): void {
    const [limit, status = 400] = UNREADABLE[code] ?? [];
    if (limit !== undefined) this.#limits?.hit(limit);
    // A second answer must not begin in the middle of the first.
    const isAnswering = this.#answers.currentOf(socket)?.headersSent;
    if (!socket.writable || code === 'ECONNRESET' || isAnswering) {
      socket.destroy();
      return;
    }
    const error = new TidemarkError('invalid_query', `The request cannot be read (${status}).`);
    refuseUpgrade(socket, error, { status });
  }

  /** Closes the socket of a client that sends request after request and waits for no answer. */
  #mayAnswer(socket: Socket): boolean {
    // What was read together with earlier requests comes all the same.
    if (socket.destroyed) return false;
    if (this.#answers.countOf(socket) < ANSWERS_PER_SOCKET_MAX) return true;
    this.#limits?.hit('answers_per_socket');
    socket.destroy();
    return false;
  }

  #keepAnswer(answer: ServerResponse): void {
    this.#answers.add(answer, () => {
      // Node marks the connection as idle only after this event.
      if (this.#draining) setImmediate(() => this.server.closeIdleConnections());
    });
    if (this.#draining) announceClose(answer);
  }
}

/**
 * Fails where a process, of whatever kind, listens on the address. Processes that reuse a port do not fail by
 * themselves: they would share it with strangers who do the same.
 *
 * @throws ConfigurationError when the address cannot be listened on
 */
export async function requireFree(options: ListenOptions): Promise<void> {
  const server = createPlainServer();
  await listenOn(server, { ...options, reusePort: false });
  await new Promise((resolve) => server.close(resolve));
}

function listenOn(server: NetServer, options: ListenOptions): Promise<AddressInfo> {
  const { host, port, reusePort = false } = options;
  return new Promise((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException) => {
      reject(new ConfigurationError([cannotListen(error, `${host}:${port}`)]));
    };
    server.once('error', refuse);
    server.listen({ host, port, reusePort }, () => {
      server.off('error', refuse);
      resolve(server.address() as AddressInfo);
    });
  });
}

function announceClose(answer: ServerResponse): void {
  if (!answer.headersSent) answer.setHeader('Connection', 'close');
}

function cannotListen({ code, message }: NodeJS.ErrnoException, address: string): string {
  if (code === 'EADDRINUSE') return `${address} is in use by another process`;
  if (code === 'EACCES') return `${address} may not be listened on by this user`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return `${address} is not an address of this machine`;
  return `${address} cannot be listened on: ${message}`;
}
