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
import { CatchUpPlaces } from '../../connections/catch-up-limit.ts';
import { Connection } from '../../connections/connection.ts';
import type { Member } from '../../connections/registry.ts';
import { traceDeliveries } from '../../observability/reports/deliveries.ts';
import { Inbox } from '../../scheduling/message-queue.ts';
import { admit, type Gateway } from '../gateway.ts';
import { CLOSE_TIMEOUT_MS, SocketOutlet } from '../socket-sink.ts';
import { textFrame, webSocketDialect } from './encoder.ts';
import { MessagePace, type Verdict } from './message-rate.ts';
import { WebSocketPeer } from './session.ts';

const PATH = '/v1/ws';

/** RFC 6455 section 4.4 wants it told to whoever asks for another. */
const VERSION = { 'Sec-WebSocket-Version': '13' };

/** Each part of a message that is not whole yet costs some 100 bytes, however small it is. */
const FRAGMENTS_MAX = 1024;
const CHUNKS_MAX = 4096;

/** How `ws` says which limit a message is beyond. */
const BEYOND: Readonly<Record<string, string>> = {
  WS_ERR_UNSUPPORTED_MESSAGE_LENGTH: 'message_bytes',
  WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH: 'message_bytes',
  WS_ERR_TOO_MANY_BUFFERED_PARTS: 'message_frames',
};

/** Answers that a client does not take; beyond it nothing is read from it until it does. */
const UNSENT_BYTES_MAX = 512 * 1024;

/** What a client said that waits in the inbox; from here on nothing is read from it either. */
const WAITING_BYTES_MAX = 64 * 1024;

export interface WebSocketLimits {
  readonly heartbeatMs: number;
  readonly messageBytesMax: number;
  readonly subscriptionsMax: number;
  readonly publishesMax: number;
  readonly connectionPatternsMax: number;
  readonly messagesPerSecondMax: number;
}

/** Serves `GET /v1/ws` (PROTOCOL.md section 6) on the upgrades of an HTTP server. */
export function serveWebSockets(server: Server, gateway: Gateway, limits: WebSocketLimits): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    maxPayload: limits.messageBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: CHUNKS_MAX,
    // A ping is answered when it is counted.
    autoPong: false,
    perMessageDeflate: false,
    clientTracking: false,
    handleProtocols: (offered) => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  // What `ws` finds wrong with the headers would otherwise be answered in plain text.
  webSockets.on('wsClientError', ({ message }, socket) => {
    const error = new TidemarkError('invalid_query', `${message}.`);
    gateway.reports.countRefused('websocket', error);
    refuseUpgrade(socket, error, { headers: VERSION });
  });
  const inbox = new Inbox(gateway.log.turns, gateway.log.scheduler.nowMs);
  server.on('upgrade', async (request: IncomingMessage, socket: Socket, head: Buffer) => {
    // Without a listener a peer that resets during the check would end the process.
    const ignore = (): void => {};
    socket.on('error', ignore);
    const handshake = gateway.reports.handshake(request);
    const refuse = (error: unknown): void => {
      gateway.reports.refused('websocket', error, handshake);
      refuseUpgrade(socket, asTidemarkError(error));
    };
    const accept = (principal: Principal): void => {
      if (socket.destroyed) return;
      admit(gateway, request, principal);
      socket.off('error', ignore);
      webSockets.handleUpgrade(request, socket, head, (webSocket) => {
        welcome(webSocket, { socket, principal, gateway, inbox, limits, handshake });
      });
    };
    try {
      const principal = await check(request, gateway);
      // In turns, like messages: those of thousands of clients are answered at once.
      inbox.put(() => {
        try {
          accept(principal);
        } catch (error) {
          refuse(error);
        } finally {
          handshake.end();
        }
      });
    } catch (error) {
      refuse(error);
      handshake.end();
    }
  });
}

async function check(request: IncomingMessage, gateway: Gateway): Promise<Principal> {
  const [path] = (request.url ?? '').split('?');
  if (path !== PATH) throw new TidemarkError('not_found', `There is no WebSocket at ${path}.`);
  checkOrigin(request, gateway.origins);
  return gateway.authenticateConnection(request);
}

interface Handshake {
  readonly socket: Socket;
  readonly principal: Principal;
  readonly gateway: Gateway;
  readonly inbox: Inbox;
  readonly limits: WebSocketLimits;
  readonly handshake: Span;
}

function welcome(webSocket: WebSocket, shaken: Handshake): void {
  const { socket, principal, gateway, inbox, limits, handshake } = shaken;
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
  const catchUps = new CatchUpPlaces(report, gateway.catchUps, principal.subject);
  const connection = new Connection({ log, outlet, dialect: webSocketDialect, observer: catchUps });
  const member: Member = {
    id,
    connection,
    transport: 'websocket',
    principal,
    heardMs: scheduler.nowMs(),
    finish: () => peer.finish(),
  };
  const peer = new WebSocketPeer({
    gateway,
    connection,
    connectionId: id,
    principal,
    limits,
    catchUps,
    newId: randomUUID,
    report,
    onTrace: () => {
      const where = { connection: id, transport: 'websocket' };
      connection.onWritten = traceDeliveries(reports.tracer, where);
    },
    onPrincipal: (newer) => registry.renew(member, newer),
  });
  const hearAgain = listen(webSocket, { gateway, inbox, connection, peer, member, limits });
  // `ws` closes by itself after a protocol error (1002, 1007, 1009); the reason is in the log.
  webSocket.on('error', (error: Error & { code?: string }) => {
    const limit = BEYOND[error.code ?? ''];
    if (limit !== undefined) gateway.limits.hit(limit);
    logger.info({ connection: id, message: error.message }, 'bad frame');
  });
  socket.on('drain', () => {
    hearAgain();
    connection.drained();
  });
  registry.add(member);
  webSocket.on('close', (code) => {
    registry.remove(member);
    connection.ended();
    const { bytesWritten: bytes } = socket;
    report.disconnected({ events: connection.delivered, bytes, code });
  });
  connection.send(textFrame(greeting(id, limits)));
}

interface Ear {
  readonly gateway: Gateway;
  readonly inbox: Inbox;
  readonly connection: Connection;
  readonly peer: WebSocketPeer;
  readonly member: Member;
  readonly limits: WebSocketLimits;
}

/**
 * Takes what a client says, no faster than it may speak, no more than it hears answers to, and no
 * more than is worked on.
 *
 * @returns goes on reading from it, if nothing speaks against that: for when it has taken answers
 */
function listen(webSocket: WebSocket, ear: Ear): () => void {
  const { gateway, inbox, connection, peer, member, limits } = ear;
  const { scheduler } = gateway.log;
  const pace = new MessagePace(limits.messagesPerSecondMax, scheduler.nowMs());
  const hear = (): Verdict => {
    const nowMs = scheduler.nowMs();
    member.heardMs = nowMs;
    const verdict = pace.take(nowMs);
    if (verdict !== 'taken') gateway.limits.hit('messages_per_second');
    if (verdict === 'over') connection.close('limited', 'Messages came too fast for too long.');
    return verdict;
  };
  let waitingBytes = 0;
  let hears = true;
  const hearAgain = (): void => {
    hears = connection.outlet.unsentBytes < UNSENT_BYTES_MAX;
    if (hears && waitingBytes < WAITING_BYTES_MAX) webSocket.resume();
  };
  const answer = (act: () => void): void => {
    act();
    if (connection.outlet.unsentBytes < UNSENT_BYTES_MAX || !hears) return;
    hears = false;
    gateway.limits.hit('unsent_answers');
    webSocket.pause();
  };
  webSocket.on('message', (bytes: Buffer, isBinary) => {
    const verdict = hear();
    if (verdict === 'over') return;
    const text = isBinary ? '' : bytes.toString('utf8');
    const { length } = bytes;
    waitingBytes += length;
    if (waitingBytes >= WAITING_BYTES_MAX) webSocket.pause();
    inbox.put(() => {
      waitingBytes -= length;
      answer(() => {
        if (verdict === 'refused') peer.refuseTooFast(text, limits.messagesPerSecondMax);
        else if (isBinary) peer.receiveBinary();
        else peer.receive(text);
      });
      if (webSocket.isPaused) hearAgain();
    });
  });
  webSocket.on('ping', (bytes: Buffer) => {
    if (hear() === 'taken') answer(() => webSocket.pong(bytes));
  });
  webSocket.on('pong', hear);
  return hearAgain;
}

function greeting(connection: string, limits: WebSocketLimits) {
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
