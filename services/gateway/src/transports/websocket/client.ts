import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Principal } from '@tidemark/auth';
import { CLOSE_CODES, type CloseReason, PATTERNS_MAX } from '@tidemark/protocol';
import type { Span } from '@tidemark/telemetry';
import { CatchUpLimit } from '../../connections/catch-up-limit.ts';
import { Connection } from '../../connections/connection.ts';
import type { Member } from '../../connections/registry.ts';
import type { ConnectionReport } from '../../observability/reports/connection-report.ts';
import { traceDeliveries } from '../../observability/reports/deliveries.ts';
import type { Gateway } from '../gateway.ts';
import { CLOSE_TIMEOUT_MS, SocketSink, type TransportControl } from '../socket-sink.ts';
import type { ClientSocket, SocketListener } from './client-socket.ts';
import { textFrame, webSocketEncoder } from './encoder.ts';
import { type Backlog, MessageReader, type ReadClient } from './message-reader.ts';
import { type SessionLimits, type SessionOptions, WebSocketSession } from './session.ts';

/** The limit that a message exceeds, by the error code of `ws`. */
const EXCEEDED_LIMITS: Readonly<Record<string, string>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'message_bytes',
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 'message_bytes',
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 'message_frames',
};

export interface WebSocketLimits extends SessionLimits {
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly messagesPerSecondMax: number;
}

/** What all clients of the transport share. */
export interface WebSocketService {
  readonly gateway: Gateway;
  readonly limits: WebSocketLimits;
  readonly backlog: Backlog;
}

export interface AcceptedClient {
  readonly socket: Socket;
  readonly webSocket: ClientSocket;
  /** What it was admitted for. */
  readonly address: string;
  readonly principal: Principal;
  readonly handshake: Span;
}

/**
 * One client with a WebSocket: it wires the socket, the connection and the session. What these ask of each other are
 * methods of this one object, because a function for each would be memory of every idle connection.
 */
export class WebSocketClient
  implements Member, SessionOptions, ReadClient, SocketListener, TransportControl
{
  readonly id = randomUUID();
  readonly transport = 'websocket';
  readonly connectedMs = Date.now();
  readonly address: string;
  readonly connection: Connection;
  readonly report: ConnectionReport;
  readonly catchUpLimit: CatchUpLimit;
  principal: Principal;
  lastReceivedMs: number;
  readonly #service: WebSocketService;
  readonly #socket: Socket;
  readonly #webSocket: ClientSocket;
  readonly #session: WebSocketSession;
  readonly #reader: MessageReader;

  constructor(service: WebSocketService, accepted: AcceptedClient) {
    const { socket, webSocket, address, principal, handshake } = accepted;
    const { core, registry, reports, catchUps } = service.gateway;
    const { id } = this;
    const { subject } = principal;
    this.#service = service;
    this.#socket = socket;
    this.#webSocket = webSocket;
    this.address = address;
    this.principal = principal;
    this.lastReceivedMs = core.clock.nowMs();
    handshake.setAttribute('tidemark.connection', id);
    this.report = reports.connected({ id, transport: 'websocket', subject, handshake });
    this.catchUpLimit = new CatchUpLimit(this.report, catchUps, subject);
    this.connection = new Connection({
      context: core,
      user: subject,
      sink: new SocketSink(socket, this, core.counters),
      encoder: webSocketEncoder,
      observer: this.catchUpLimit,
    });
    this.#session = new WebSocketSession(this);
    this.#reader = new MessageReader(webSocket, this, this.#session);
    webSocket.listener = this;
    socket.on('drain', () => this.#drained());
    registry.addMember(this);
    this.connection.send(textFrame(welcomeMessage(id, service.limits)));
  }

  // For the session and the reader of its messages.

  get connectionId(): string {
    return this.id;
  }

  get gateway(): Gateway {
    return this.#service.gateway;
  }

  get limits(): WebSocketLimits {
    return this.#service.limits;
  }

  get backlog(): Backlog {
    return this.#service.backlog;
  }

  get messagesPerSecondMax(): number {
    return this.limits.messagesPerSecondMax;
  }

  newId(): string {
    return randomUUID();
  }

  charge(bytes: number): void {
    const { core, messageBytes } = this.gateway;
    messageBytes.take(this.principal.subject, bytes, core.clock.nowMs());
  }

  onTrace(): void {
    const about = { connection: this.id, transport: this.transport };
    this.connection.onWritten = traceDeliveries(this.gateway.reports.tracer, about);
  }

  onPrincipal(newer: Principal): void {
    this.gateway.registry.renewToken(this, newer);
  }

  // For the registry.

  partSinceMs(): number | undefined {
    return this.#reader.partSinceMs();
  }

  finish(): Promise<void> {
    return this.#session.finish();
  }

  // For the sink.

  ping(): void {
    this.#webSocket.ping();
  }

  close(reason: CloseReason, message: string): void {
    this.#webSocket.close(CLOSE_CODES[reason], message);
    setTimeout(() => this.#webSocket.terminate(), CLOSE_TIMEOUT_MS).unref();
  }

  // Called by the socket.

  onMessage(bytes: Buffer, isBinary: boolean): void {
    this.#reader.onMessage(bytes, isBinary);
  }

  onPing(bytes: Buffer): void {
    this.#reader.onPing(bytes);
  }

  onPong(): void {
    this.#reader.onPong();
  }

  /** `ws` closes by itself after a protocol error (1002, 1007, 1009). This logs the reason. */
  onError({ code, message }: Error & { code?: string }): void {
    const { limits, logger } = this.gateway;
    const limit = EXCEEDED_LIMITS[code ?? ''];
    if (limit !== undefined) limits.hit(limit);
    logger.info({ connection: this.id, message }, 'bad frame');
  }

  onClose(code: number): void {
    this.gateway.admission.release(this.address, this.principal);
    this.gateway.registry.removeMember(this);
    this.connection.ended();
    this.#reader.stop();
    const { bytesWritten: bytes } = this.#socket;
    this.report.disconnected({ events: this.connection.delivered, bytes, code });
  }

  #drained(): void {
    this.#reader.resume();
    this.connection.drained();
  }
}

function welcomeMessage(connection: string, limits: WebSocketLimits) {
  const { heartbeatMs, messageBytesMax, subscriptionsMax, publishesMax } = limits;
  const { connectionPatternsMax, messagesPerSecondMax } = limits;
  return {
    type: 'welcome',
    connection,
    heartbeatMs,
    limits: {
      messageBytesMax,
      subscriptionsMax,
      publishesMax,
      patternsMax: PATTERNS_MAX,
      connectionPatternsMax,
      messagesPerSecondMax,
    },
  } as const;
}
