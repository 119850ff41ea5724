import type { IncomingMessage } from 'node:http';
import type { Principal } from '@tidemark/auth';
import { checkOrigin, type HttpServer, refuseUpgrade } from '@tidemark/http';
import {
  asTidemarkError,
  readTraceContext,
  readUnsampledContext,
  SUBPROTOCOL,
  TidemarkError,
} from '@tidemark/protocol';
import type { Span } from '@tidemark/telemetry';
import { WebSocketServer } from 'ws';
import { awaitRate, HANDSHAKE_COST_BYTES } from '../costs.ts';
import { admit, type Gateway } from '../gateway.ts';
import { WebSocketClient, type WebSocketLimits } from './client.ts';
import { ClientSocket } from './client-socket.ts';

const PATH = '/v1/ws';

/** The header that answers a client that asks for another version (RFC 6455 section 4.4). */
const VERSION = { 'Sec-WebSocket-Version': '13' };

/** Most fragments of a message. Each costs some 100 bytes, however small it is. */
const FRAGMENTS_MAX = 1024;
const CHUNKS_MAX = 4096;

/** Serves `GET /v1/ws` (PROTOCOL.md section 6) on the upgrades of an HTTP server. */
export function serveWebSockets(http: HttpServer, gateway: Gateway, limits: WebSocketLimits): void {
  const webSockets = new WebSocketServer({
    noServer: true,
    WebSocket: ClientSocket,
    maxPayload: limits.messageBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: CHUNKS_MAX,
    // `MessageReader` answers pings, which count as messages.
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
  const service = { gateway, limits, backlog: { bytes: 0 } };
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
      const address = admit(gateway, request, principal);
      socket.off('error', ignore);
      let client: WebSocketClient | undefined;
      // The answer and `welcome` in one write.
      socket.cork();
      try {
        webSockets.handleUpgrade(request, socket, head, (webSocket) => {
          const accepted = { socket, webSocket, address, principal, handshake: span };
          client = new WebSocketClient(service, accepted);
        });
      } finally {
        socket.uncork();
        // `ws` calls back at once, or has refused the handshake.
        if (!client) gateway.admission.release(address, principal);
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
