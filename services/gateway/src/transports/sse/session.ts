import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import type { Principal } from '@tidemark/auth';
import type { Request, Response } from '@tidemark/http';
import {
  asTidemarkError,
  type CloseReason,
  type ErrorCode,
  LAST_CHUNK,
  sseBegin,
  sseError,
  TidemarkError,
  toChunk,
} from '@tidemark/protocol';
import type { Span } from '@tidemark/telemetry';
import { CatchUpLimit } from '../../connections/catch-up-limit.ts';
import { Connection, type Subscribing } from '../../connections/connection.ts';
import type { Member } from '../../connections/registry.ts';
import { traceDeliveries } from '../../observability/reports/deliveries.ts';
import type { Gateway } from '../gateway.ts';
import { CLOSE_TIMEOUT_MS, SocketSink } from '../socket-sink.ts';
import { plainSseEncoder, sseEncoder } from './encoder.ts';
import { returnCursor } from './requests.ts';

/** The id of the one subscription of an SSE connection. No message names it. */
const SUBSCRIPTION = '';

/** The error code of the last block, by the reason of the close. */
const CLOSE_ERROR_CODES: Readonly<Record<CloseReason, ErrorCode>> = {
  going_away: 'unavailable',
  stalled: 'unavailable',
  unresponsive: 'unavailable',
  token_expired: 'token_expired',
  unavailable: 'unavailable',
  disconnected: 'unavailable',
  limited: 'limit_exceeded',
  revoked: 'unauthenticated',
};

export interface SseSession {
  readonly subscribing: Subscribing;
  readonly principal: Principal;
  readonly address: string;
  /** Whether traces show its deliveries. */
  readonly trace: boolean;
  readonly handshake: Span;
}

/** The body of an answer, which is written past the response object. */
export interface SseBody {
  readonly socket: Socket;
  /** Whether it is in chunks, which HTTP/1.0 does not have. */
  readonly chunked: boolean;
}

/** Serves an accepted SSE request on its socket until either side ends it. */
export function startSession(gateway: Gateway, body: SseBody, session: SseSession): void {
  const { socket } = body;
  const { subscribing, principal, address, trace, handshake } = session;
  const { core, registry, reports } = gateway;
  const id = randomUUID();
  handshake.setAttribute('tidemark.connection', id);
  const { subject } = principal;
  const report = reports.connected({ id, transport: 'sse', subject, handshake });
  const close = (reason: CloseReason, message: string): void => {
    endWithError(body, new TidemarkError(CLOSE_ERROR_CODES[reason], message));
  };
  const catchUpLimit = new CatchUpLimit(report, gateway.catchUps, subject);
  const connection = new Connection({
    context: core,
    user: subject,
    sink: new SocketSink(socket, { ping: () => {}, close }, core.counters),
    encoder: body.chunked ? sseEncoder : plainSseEncoder,
    observer: catchUpLimit,
    onFailed: () => connection.close('unavailable', 'The log cannot be read now.'),
  });
  if (subscribing.start.kind === 'cursor') report.resumed();
  if (trace) {
    const about = { connection: id, transport: 'sse' };
    connection.onWritten = traceDeliveries(reports.tracer, about);
  }
  const member: Member = {
    id,
    connection,
    transport: 'sse',
    address,
    connectedMs: Date.now(),
    principal,
    lastReceivedMs: 0,
  };
  registry.addMember(member);
  socket.on('drain', () => connection.drained());
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    registry.removeMember(member);
    connection.ended();
    report.disconnected({ events: connection.delivered, bytes: socket.bytesWritten });
  });
  const subscribe = () => connection.subscribe(SUBSCRIPTION, subscribing);
  catchUpLimit.begin(SUBSCRIPTION, subscribing.start, subscribe).catch((thrown) => {
    const { code, message, limit } = asTidemarkError(thrown);
    if (limit !== undefined) gateway.limits.hit(limit);
    connection.close(code === 'limit_exceeded' ? 'limited' : 'unavailable', message);
  });
}

/** Sends the last block of a stream, and its end. Destroys the socket of a peer that does not read it or end. */
export function endWithError({ socket, chunked }: SseBody, error: TidemarkError): void {
  const block = sseError(error.toBody());
  socket.end(chunked ? toChunk(block) + LAST_CHUNK : block);
  setTimeout(() => socket.destroy(), CLOSE_TIMEOUT_MS).unref();
}

/**
 * Sends the head of the response. Its body is written to the socket in chunks that connections share.
 *
 * @returns `undefined` when the response is complete or the client is gone
 */
export function openStream(
  request: Request,
  response: Response,
  retryMs: number,
): SseBody | undefined {
  response.set({
    'Content-Type': 'text/event-stream; charset=utf-8',
    // Without `no-transform`, compressing proxies hold events back until a buffer is full.
    'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no',
    Connection: 'close',
  });
  if (request.method === 'HEAD') {
    response.end();
    return undefined;
  }
  response.flushHeaders();
  const { socket } = response;
  if (!socket) return undefined;
  const chunked = response.chunkedEncoding;
  socket.setTimeout(0);
  const begin = sseBegin(retryMs, returnCursor(request));
  socket.write(chunked ? toChunk(begin) : begin);
  return { socket, chunked };
}
