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
import type { ConnectionReport } from '../../observability/reports/connection-report.ts';
import { traceDeliveries } from '../../observability/reports/deliveries.ts';
import type { Gateway } from '../gateway.ts';
import { CLOSE_TIMEOUT_MS, SocketSink, type TransportControl } from '../socket-sink.ts';
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
  readonly principal: Principal;
  /** What it was admitted for. */
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

/** One client with an SSE stream, which it serves on the socket until either side ends it. */
export class SseClient implements Member, TransportControl {
  readonly id = randomUUID();
  readonly transport = 'sse';
  readonly connectedMs = Date.now();
  readonly address: string;
  readonly connection: Connection;
  principal: Principal;
  lastReceivedMs = 0;
  readonly #gateway: Gateway;
  readonly #body: SseBody;
  readonly #report: ConnectionReport;
  readonly #catchUpLimit: CatchUpLimit;

  constructor(gateway: Gateway, body: SseBody, session: SseSession) {
    const { socket } = body;
    const { principal, address, trace, handshake } = session;
    const { core, registry, reports, catchUps } = gateway;
    const { id, transport } = this;
    const { subject } = principal;
    this.#gateway = gateway;
    this.#body = body;
    this.address = address;
    this.principal = principal;
    handshake.setAttribute('tidemark.connection', id);
    this.#report = reports.connected({ id, transport, subject, handshake });
    this.#catchUpLimit = new CatchUpLimit(this.#report, catchUps, subject);
    this.connection = new Connection({
      context: core,
      user: subject,
      sink: new SocketSink(socket, this, core.counters),
      encoder: body.chunked ? sseEncoder : plainSseEncoder,
      observer: this.#catchUpLimit,
      onFailed: () => this.connection.close('unavailable', 'The log cannot be read now.'),
    });
    if (trace) {
      this.connection.onWritten = traceDeliveries(reports.tracer, { connection: id, transport });
    }
    registry.addMember(this);
    socket.on('drain', () => this.connection.drained());
    socket.on('close', () => this.#closed());
  }

  /** Begins the one subscription of the stream. */
  subscribe(subscribing: Subscribing): void {
    const { start } = subscribing;
    if (start.kind === 'cursor') this.#report.resumed();
    const subscribe = () => this.connection.subscribe(SUBSCRIPTION, subscribing);
    this.#catchUpLimit.begin(SUBSCRIPTION, start, subscribe).catch((thrown) => {
      const { code, message, limit } = asTidemarkError(thrown);
      if (limit !== undefined) this.#gateway.limits.hit(limit);
      this.connection.close(code === 'limit_exceeded' ? 'limited' : 'unavailable', message);
    });
  }

  /** SSE has no pings. */
  ping(): void {}

  close(reason: CloseReason, message: string): void {
    endWithError(this.#body, new TidemarkError(CLOSE_ERROR_CODES[reason], message));
  }

  #closed(): void {
    this.#gateway.admission.release(this.address, this.principal);
    this.#gateway.registry.removeMember(this);
    this.connection.ended();
    const { bytesWritten: bytes } = this.#body.socket;
    this.#report.disconnected({ events: this.connection.delivered, bytes });
  }
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
