import { randomUUID } from 'node:crypto';
import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Principal } from '@tidemark/auth';
import { checkOrigin, refuseUpgrade } from '@tidemark/http';
import {
  asTidemarkError,
  CLOSE_CODES,
  type CloseReason,
  PATTERNS_MAX,
  SUBPROTOCOL,
  TidemarkError,
} from '@tidemark/protocol';
import type { Span } from '@tidemark/telemetry';
import { type WebSocket, WebSocketServer } from 'ws';
import { Connection } from '../connections/connection.ts';
import type { Member } from '../connections/registry.ts';
import { admit, type Gateway } from '../gateway.ts';
import { traceDeliveries } from '../reports/deliveries.ts';
import { CLOSE_TIMEOUT_MS, SocketOutlet } from './socket-outlet.ts';
import { textFrame, webSocketDialect } from './web-socket-dialect.ts';
import { WebSocketPeer } from './web-socket-peer.ts';

const PATH = '/v1/ws';

export interface WebSocketLimits {
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
  readonly publishesMax: number;
}

/** Serves `GET /v1/ws` (PROTOCOL.md section 6) on the upgrades of an HTTP server. */
export function serveWebSockets(server: Server, gateway: Gateway, limits: WebSocketLimits): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.messageBytesMax,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  server.on('upgrade', async (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // Without a listener a peer that resets during the check would end the process.
    const ignore = (): void => {};
    socket.on('error', ignore);
    const handshake = gateway.reports.handshake(request);
    try {
      const principal = await check(request, gateway);
      if (socket.destroyed) return;
      socket.off('error', ignore);
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        welcome(webSocket, { socket, principal, gateway, limits, handshake });
      });
    } catch (error) {
      gateway.reports.refused('websocket', error, handshake);
      refuseUpgrade(socket, asTidemarkError(error));
    } finally {
      handshake.end();
    }
  });
}

async function check(request: IncomingMessage, gateway: Gateway): Promise<Principal> {
  const [path] = (request.url ?? '').split('?');
  if (path !== PATH) throw new TidemarkError('not_found', `There is no WebSocket at ${path}.`);
  checkOrigin(request, gateway.origins);
  const principal = await gateway.authenticateConnection(request);
  admit(gateway);
  return principal;
}

interface Handshake {
  readonly socket: Socket;
  readonly principal: Principal;
  readonly gateway: Gateway;
  readonly limits: WebSocketLimits;
  readonly handshake: Span;
}

function welcome(webSocket: WebSocket, shaken: Handshake): void {
  const { socket, principal, gateway, limits, handshake } = shaken;
  const { log, registry, logger, reports } = gateway;
  const id = randomUUID();
  handshake.setAttribute('tidemark.connection', id);
  const about = { id, transport: 'websocket', subject: principal.subject, handshake } as const;
  const report = reports.connected(about);
  const { scheduler } = log;
  const farewell = {
    ping: () => webSocket.ping(),
    close: (reason: CloseReason, message: string) => close(webSocket, reason, message),
  };
  const outlet = new SocketOutlet(socket, farewell, log.counts);
  const connection = new Connection({ log, outlet, dialect: webSocketDialect, observer: report });
  const member: Member = {
    id,
    connection,
    transport: 'websocket',
    principal,
    heardMs: scheduler.nowMs(),
    finish: () => peer.finish(),
  };
  const where = { connection: id, transport: 'websocket' };
  const peer = new WebSocketPeer({
    gateway,
    connection,
    principal,
    limits,
    newId: randomUUID,
    report,
    onTrace: () => {
      connection.onWritten = traceDeliveries(reports.tracer, where);
    },
    onPrincipal: (newer) => {
      member.principal = newer;
    },
  });
  const heard = (): void => {
    member.heardMs = scheduler.nowMs();
  };
  webSocket.on('message', (bytes: Buffer, isBinary) => {
    heard();
    if (isBinary) peer.receiveBinary();
    else peer.receive(bytes.toString('utf8'));
  });
  webSocket.on('ping', heard);
  webSocket.on('pong', heard);
  // `ws` closes by itself after a protocol error (1002, 1007, 1009); the reason is in the log.
  webSocket.on('error', ({ message }) => logger.info({ connection: id, message }, 'bad frame'));
  socket.on('drain', () => connection.drained());
  registry.add(member);
  webSocket.once('close', (code) => {
    registry.remove(member);
    connection.ended();
    report.disconnected({ bytes: socket.bytesWritten, code });
  });
  connection.send(textFrame(greeting(id, limits)));
}

function greeting(connection: string, limits: WebSocketLimits) {
  const { heartbeatMs, messageBytesMax, subscriptionsMax, publishesMax } = limits;
  return {
    type: 'welcome',
    connection,
    heartbeatMs,
    limits: { messageBytesMax, subscriptionsMax, publishesMax, patternsMax: PATTERNS_MAX },
  } as const;
}

function close(webSocket: WebSocket, reason: CloseReason, message: string): void {
  webSocket.close(CLOSE_CODES[reason], message);
  setTimeout(() => webSocket.terminate(), CLOSE_TIMEOUT_MS).unref();
}
