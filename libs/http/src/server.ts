import { createServer, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { ConfigurationError } from '@tidemark/config';
import type { Logger } from '@tidemark/telemetry';

/** Time to send the request line and headers. */
const HEADERS_TIMEOUT_MS = 10_000;
/** Time to send a whole request; how long an answer takes is not limited by it. */
const REQUEST_TIMEOUT_MS = 30_000;
/** Longer than the 60 s after which common proxies give up a connection they keep for reuse. */
const KEEP_ALIVE_TIMEOUT_MS = 65_000;
/** How often Node looks for requests past the first two. */
const TIMEOUT_CHECK_MS = 5_000;
const HEADER_BYTES_MAX = 16 * 1024;
const HEADERS_MAX = 100;
/** Idle time after which TCP asks whether a silent peer is still there. */
const TCP_KEEP_ALIVE_MS = 60_000;

export interface ListenOptions {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface ServerOptions {
  /** What a socket may hold unsent before it asks to wait for its drain; Node's own if absent. */
  readonly socketBufferBytes?: number;
}

/**
 * An HTTP server with explicit limits and an orderly end.
 *
 *     new ── listen ──> listening ── stop ──> draining ── answers done, or drainMs over ──> closed
 */
export class HttpServer {
  /** For `upgrade`; requests belong to the application. */
  readonly server: Server;
  readonly #log: Logger;
  readonly #sockets = new Set<Socket>();
  readonly #answers = new Set<ServerResponse>();
  #draining = false;

  constructor(application: RequestListener, log: Logger, options: ServerOptions = {}) {
    this.#log = log;
    this.server = createServer({
      ...(options.socketBufferBytes !== undefined && { highWaterMark: options.socketBufferBytes }),
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      noDelay: true,
    });
    this.server.maxHeadersCount = HEADERS_MAX;
    this.server.on('connection', (socket) => this.#keepSocket(socket));
    this.server.on('request', (_request, response) => this.#keepAnswer(response));
    this.server.on('request', application);
  }

  /** Resolves with the port. @throws ConfigurationError when the address cannot be listened on */
  listen({ host, port }: ListenOptions): Promise<number> {
    return new Promise((resolve, reject) => {
      const refuse = (error: NodeJS.ErrnoException) => {
        reject(new ConfigurationError([cannotListen(error, `${host}:${port}`)]));
      };
      this.server.once('error', refuse);
      this.server.listen({ host, port }, () => {
        this.server.off('error', refuse);
        const address = this.server.address() as AddressInfo;
        this.#log.info({ host, port: address.port }, 'listening');
        resolve(address.port);
      });
    });
  }

  /** Takes nothing new, lets running requests finish, and cuts what is left after `drainMs`. */
  async stop(drainMs: number): Promise<void> {
    this.#draining = true;
    const closed = new Promise<void>((resolve) => this.server.close(() => resolve()));
    for (const answer of this.#answers) announceClose(answer);
    const deadline = setTimeout(() => {
      if (this.#sockets.size > 0) {
        this.#log.warn({ connections: this.#sockets.size }, 'cutting connections that did not end');
      }
      for (const socket of this.#sockets) socket.destroy();
    }, drainMs);
    await closed;
    clearTimeout(deadline);
  }

  #keepSocket(socket: Socket): void {
    this.#sockets.add(socket);
    socket.once('close', () => this.#sockets.delete(socket));
  }

  #keepAnswer(answer: ServerResponse): void {
    this.#answers.add(answer);
    answer.once('close', () => {
      this.#answers.delete(answer);
      // The connection is idle only once Node has done its own part of the end of an answer.
      if (this.#draining) setImmediate(() => this.server.closeIdleConnections());
    });
    if (this.#draining) announceClose(answer);
  }
}

function announceClose(answer: ServerResponse): void {
  if (!answer.headersSent) answer.setHeader('Connection', 'close');
}

function cannotListen({ code, message }: NodeJS.ErrnoException, address: string): string {
  if (code === 'EADDRINUSE') return `${address} is in use by another process`;
  if (code === 'EACCES') return `${address} may not be listened on by this user`;
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND') return `${address} is no address here`;
  return `${address} cannot be listened on: ${message}`;
}
