import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { Principal } from '@tidemark/auth';
import { checkOrigin, type HttpServer, refuseUpgrade } from '@tidemark/http';
import {
  asTidemarkError,
  CLOSE_CODES,
  type CloseReason,
  PATTERNS_MAX,
  readTraceContext,
  readUnsampledContext,
  SUBPROTOCOL,
  TidemarkError,
} from '@tidemark/protocol';
import type { Span } from '@tidemark/telemetry';
import { type WebSocket, WebSocketServer } from 'ws';
import { CatchUpLimit } from '../../connections/catch-up-limit.ts';
import { Connection } from '../../connections/connection.ts';
import type { Member } from '../../connections/registry.ts';
import { traceDeliveries } from '../../observability/reports/deliveries.ts';
import { awaitRate, HANDSHAKE_COST_BYTES } from '../costs.ts';
import { admit, type Gateway } from '../gateway.ts';
import { CLOSE_TIMEOUT_MS, SocketSink } from '../socket-sink.ts';
import { textFrame, webSocketEncoder } from './encoder.ts';
import { type Backlog, readMessages } from './message-reader.ts';
import { watchParts } from './part-watch.ts';
import { WebSocketSession } from './session.ts';

const PATH = '/v1/ws';

/** The header that answers a client that asks for another version (RFC 6455 section 4.4). */
const VERSION = { 'Sec-WebSocket-Version': '13' };

/** Most fragments of a message. Each costs some 100 bytes, however small it is. */
const FRAGMENTS_MAX = 1024;
const CHUNKS_MAX = 4096;

/** The limit that a message exceeds, by the error code of `ws`. */
const EXCEEDED_LIMITS: Readonly<Record<string, string>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'message_bytes',
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 'message_bytes',
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 'message_frames',
};

export interface WebSocketLimits {
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
  readonly publishesMax: number;
  readonly connectionPatternsMax: number;
  readonly messagesPerSecondMax: number;
}

/** Serves `GET /v1/ws` (PROTOCOL.md section 6) on the upgrades of an HTTP server. */
export function serveWebSockets(http: HttpServer, gateway: Gateway, limits: WebSocketLimits): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.messageBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: CHUNKS_MAX,
    // `readMessages` answers pings, which count as messages.
    autoPong: false,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  // `ws` would answer wrong headers with plain text.
  webSockets.on('wsClientError', ({ message }, socket) => {
    const error = new TidemarkError('invalid_query', `${message}.`);
    gateway.reports.countRefused('websocket', error);
    refuseUpgrade(socket, error, { headers: VERSION });
  });
  const backlog = { bytes: 0 };
  http.onUpgrade(async (request, socket, head) => {
    // Without a listener, a peer that resets its socket during the check would end the process.
    const ignore = (): void => {};
    socket.on('error', ignore);
    const startMs = Date.now();
    let handshake: Span | undefined;
    const refuse = (error: unknown): void => {
      handshake ??= gateway.reports.handshake(readUnsampledContext(request.headers), startMs);
      gateway.reports.refused(
        { transport: 'websocket', address: gateway.addressOf(request), handshake },
        error,
      );
      refuseUpgrade(socket, asTidemarkError(error));
    };
    const accept = (principal: Principal, span: Span): void => {
      if (socket.destroyed) return;
      admit(gateway, request, principal);
      socket.off('error', ignore);
      const address = gateway.addressOf(request);
      // The answer and `welcome` in one write.
      socket.cork();
      try {
        webSockets.handleUpgrade(request, socket, head, (webSocket) => {
          startSession(webSocket, {
            ...{ socket, address, principal, gateway, limits, backlog },
            handshake: span,
          });
        });
      } finally {
        socket.uncork();
      }
    };
    try {
      const principal = await check(request, gateway);
      const { subject: user } = principal;
      await awaitRate(gateway, socket, { user, bytes: HANDSHAKE_COST_BYTES.websocket });
      const span = gateway.reports.handshake(readTraceContext(request.headers), startMs);
      handshake = span;
      // Queued like messages, because thousands of clients may connect at once.
      const flow = { user, connection: socket };
      gateway.core.userWork.enqueue(() => {
        try {
          accept(principal, span);
        } catch (error) {
          refuse(error);
        } finally {
          span.end();
        }
      }, flow);
    } catch (error) {
      refuse(error);
      handshake?.end();
    }
  });
}

async function check(request: IncomingMessage, gateway: Gateway): Promise<Principal> {
  const [path] = (request.url ?? '').split('?');
  if (path !== PATH) throw new TidemarkError('not_found', `There is no WebSocket at ${path}.`);
  gateway.checkHost(request);
  checkOrigin(request, gateway.origins);
  return gateway.authenticateConnection(request);
}

interface AcceptedRequest {
  readonly socket: Socket;
  readonly address: string;
  readonly principal: Principal;
  readonly gateway: Gateway;
  readonly limits: WebSocketLimits;
  readonly handshake: Span;
  readonly backlog: Backlog;
}

function startSession(webSocket: WebSocket, request: AcceptedRequest): void {
  const { socket, address, principal, gateway, limits, handshake, backlog } = request;
  const { core, registry, logger, reports } = gateway;
  const id = randomUUID();
  handshake.setAttribute('tidemark.connection', id);
  const about = { id, transport: 'websocket', subject: principal.subject, handshake } as const;
  const report = reports.connected(about);
  const control = {
    ping: () => webSocket.ping(),
    close: (reason: CloseReason, message: string) => close(webSocket, reason, message),
  };
  const sink = new SocketSink(socket, control, core.counters);
  const catchUpLimit = new CatchUpLimit(report, gateway.catchUps, principal.subject);
  const connection = new Connection({
    context: core,
    user: principal.subject,
    sink,
    encoder: webSocketEncoder,
    observer: catchUpLimit,
  });
  const member: Member = {
    id,
    connection,
    transport: 'websocket',
    address,
    connectedMs: Date.now(),
    principal,
    lastReceivedMs: core.clock.nowMs(),
    partSinceMs: watchParts(webSocket, core.clock),
    finish: () => session.finish(),
  };
  const session = new WebSocketSession({
    gateway,
    connection,
    connectionId: id,
    principal,
    address,
    limits,
    catchUpLimit,
    newId: randomUUID,
    charge: (bytes) => {
      gateway.messageBytes.take(principal.subject, bytes, core.clock.nowMs());
    },
    report,
    onTrace: () => {
      const about = { connection: id, transport: 'websocket' };
      connection.onWritten = traceDeliveries(reports.tracer, about);
    },
    onPrincipal: (newer) => registry.renewToken(member, newer),
  });
  const resumeReading = readMessages(webSocket, {
    gateway,
    connection,
    session,
    member,
    messagesPerSecondMax: limits.messagesPerSecondMax,
    backlog,
  });
  // `ws` closes by itself after a protocol error (1002, 1007, 1009). This logs the reason.
  webSocket.on('error', (error: Error & { code?: string }) => {
    const limit = EXCEEDED_LIMITS[error.code ?? ''];
    if (limit !== undefined) gateway.limits.hit(limit);
    logger.info({ connection: id, message: error.message }, 'bad frame');
  });
  socket.on('drain', () => {
    resumeReading();
    connection.drained();
  });
  registry.addMember(member);
  webSocket.on('close', (code) => {
    registry.removeMember(member);
    connection.ended();
    const { bytesWritten: bytes } = socket;
    report.disconnected({ events: connection.delivered, bytes, code });
  });
  connection.send(textFrame(welcomeMessage(id, limits)));
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

function close(webSocket: WebSocket, reason: CloseReason, message: string): void {
  webSocket.close(CLOSE_CODES[reason], message);
  setTimeout(() => webSocket.terminate(), CLOSE_TIMEOUT_MS).unref();
}
