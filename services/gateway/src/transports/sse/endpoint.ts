import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { type Principal, requireAdmin, requirePermission } from '@tidemark/auth';
import { type Endpoint, endRequestSpan, type Request, type Response, spanOf } from '@tidemark/http';
import {
  asTidemarkError,
  type CloseReason,
  DELIVER,
  type Deliver,
  type ErrorCode,
  parsePatternList,
  parseStart,
  sseError,
  sseRetry,
  TidemarkError,
} from '@tidemark/protocol';
import type { Span } from '@tidemark/telemetry';
import { CatchUpPlaces } from '../../connections/catch-up-limit.ts';
import { Connection, type Subscribing } from '../../connections/connection.ts';
import { goingAway, type Member } from '../../connections/registry.ts';
import { traceDeliveries } from '../../observability/reports/deliveries.ts';
import { admit, type Gateway } from '../gateway.ts';
import { CLOSE_TIMEOUT_MS, SocketOutlet } from '../socket-sink.ts';
import { sseDialect } from './encoder.ts';

const PATH = '/v1/sse';

/** An SSE connection has one subscription, which no message names. */
const SUBSCRIPTION = '';

const PARAMETERS = new Set(['topics', 'after', 'deliver', 'trace', 'access_token', 'ticket']);

/** What a closing connection says last, by the reason for it. */
const LAST_WORDS: Readonly<Record<CloseReason, ErrorCode>> = {
  going_away: 'unavailable',
  stalled: 'unavailable',
  unresponsive: 'unavailable',
  token_expired: 'token_expired',
  unavailable: 'unavailable',
  disconnected: 'unavailable',
  limited: 'limit_exceeded',
  revoked: 'unauthenticated',
};

/** `GET /v1/sse` (PROTOCOL.md section 7). */
export function sseEndpoint(gateway: Gateway, { retryMs }: { readonly retryMs: number }): Endpoint {
  const { reports } = gateway;
  return {
    path: PATH,
    authenticate: (request) => counting(() => gateway.authenticateConnection(request)),
    postpone(request, response, error) {
      reports.tellRefused('sse', error, spanOf(response));
      const socket = open(request, response, retryMs);
      if (socket) endWith(socket, error);
    },
    methods: {
      GET: (request, response, principal) =>
        counting(() => shake({ request, response, principal })),
    },
  };

  /** Where the application answers a refusal, it also logs it. */
  async function counting<T>(work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      reports.countRefused('sse', error);
      throw error;
    }
  }

  function shake({ request, response, principal }: Exchange): void {
    if (gateway.registry.closing) {
      // Without an answer, so that a proxy tries the next gateway; an EventSource comes back alone.
      reports.refused('sse', goingAway(), spanOf(response));
      request.socket.destroy();
      return;
    }
    const { trace, ...query } = readQuery(request);
    for (const pattern of query.patterns) requirePermission(principal, 'subscribe', pattern);
    if (trace) requireAdmin(principal);
    const socket = open(request, response, retryMs);
    if (!socket) return;
    const handshake = spanOf(response);
    try {
      admit(gateway, request, principal);
    } catch (error) {
      // A native EventSource never comes back after a status other than 200.
      reports.refused('sse', error, handshake);
      endRequestSpan(response, PATH);
      endWith(socket, asTidemarkError(error));
      return;
    }
    serve(gateway, socket, { query, principal, trace, handshake });
    // The connection goes on; its handshake is over.
    endRequestSpan(response, PATH);
  }
}

interface Exchange {
  readonly request: Request;
  readonly response: Response;
  readonly principal: Principal;
}

interface Handshake {
  readonly query: Subscribing;
  readonly principal: Principal;
  readonly trace: boolean;
  readonly handshake: Span;
}

function serve(gateway: Gateway, socket: Socket, shaken: Handshake): void {
  const { query, principal, trace, handshake } = shaken;
  const { log, registry, reports } = gateway;
  const id = randomUUID();
  handshake.setAttribute('tidemark.connection', id);
  const about = { id, transport: 'sse', subject: principal.subject, handshake } as const;
  const report = reports.connected(about);
  const close = (reason: CloseReason, message: string): void => {
    const error = new TidemarkError(LAST_WORDS[reason], message);
    endWith(socket, error);
  };
  const places = new CatchUpPlaces(report, gateway.catchUps, principal.subject);
  const outlet = new SocketOutlet(socket, { ping: () => {}, close }, log.counts);
  const connection = new Connection({
    log,
    outlet,
    dialect: sseDialect,
    observer: places,
    onFailed: () => connection.close('unavailable', 'The log cannot be read now.'),
  });
  if (query.start.kind === 'cursor') report.resumed();
  if (trace) {
    const where = { connection: id, transport: 'sse' };
    connection.onWritten = traceDeliveries(reports.tracer, where);
  }
  const member: Member = { id, connection, transport: 'sse', principal, heardMs: 0 };
  registry.add(member);
  socket.on('drain', () => connection.drained());
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    registry.remove(member);
    connection.ended();
    report.disconnected({ events: connection.delivered, bytes: socket.bytesWritten });
  });
  const subscribe = () => connection.subscribe(SUBSCRIPTION, query);
  places.begin(SUBSCRIPTION, query.start, subscribe).catch((thrown) => {
    const { code, message } = asTidemarkError(thrown);
    connection.close(code === 'limit_exceeded' ? 'limited' : 'unavailable', message);
  });
}

/** The last block of a stream. A peer that reads nothing, or does not end its side, is cut. */
function endWith(socket: Socket, error: TidemarkError): void {
  socket.end(sseError(error.toBody()));
  setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS).unref();
}

/**
 * Sends the head of the answer. The body has no length and no chunks: it ends with the connection,
 * so that what is written to the socket from here on are the shared bytes of the events.
 *
 * @returns the socket, or `undefined` when the answer is complete or its reader gone
 */
function open(request: Request, response: Response, retryMs: number): Socket | undefined {
  response.set({
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store',
    'X-Accel-Buffering': 'no',
    Connection: 'close',
  });
  if (request.method === 'HEAD') {
    response.end();
    return undefined;
  }
  response.removeHeader('Transfer-Encoding');
  response.flushHeaders();
  const { socket } = response;
  socket?.setTimeout(0);
  socket?.write(sseRetry(retryMs));
  return socket ?? undefined;
}

function readQuery(request: Request): Subscribing & { readonly trace: boolean } {
  const parameters = new URL(request.url, 'http://gateway').searchParams;
  for (const name of parameters.keys()) {
    if (!PARAMETERS.has(name)) {
      const known = [...PARAMETERS].join(', ');
      throw new TidemarkError('invalid_query', `There is no parameter ${name}; known: ${known}.`);
    }
  }
  const lastEventId = request.get('Last-Event-ID');
  return {
    trace: parameters.get('trace') === 'true',
    patterns: parsePatternList(parameters.getAll('topics').join(',')),
    start: parseStart(lastEventId || (parameters.get('after') ?? undefined)),
    deliver: parseDeliver(parameters.get('deliver')),
  };
}

function parseDeliver(text: string | null): Deliver {
  const deliver = DELIVER.find((known) => known === (text ?? 'all'));
  if (deliver) return deliver;
  throw new TidemarkError('invalid_query', `deliver must be one of ${DELIVER.join(', ')}.`);
}
