import type { RefusalLog } from '@tidemark/http';
import { type CloseReason, formatCursor, type GapReason, type Position } from '@tidemark/protocol';
import { type Logger, type Span, traceIds } from '@tidemark/telemetry';
import type { Gap } from '../../connections/encoder.ts';
import type { CatchUpObserver, ConnectionObserver } from '../../connections/observer.ts';

/** The fields that every log line about a connection has. */
export interface ConnectionAbout {
  readonly id: string;
  readonly transport: 'websocket' | 'sse';
  readonly subject: string;
  readonly handshake: Span;
}

/** What a connection received, and its close code if there is one. */
export interface ConnectionCounts {
  readonly events: number;
  readonly bytes: number;
  readonly code?: number;
}

export interface CatchUpBegun {
  readonly connection: string;
  readonly subscription: string;
  readonly handshake: Span;
  readonly position: Position;
  readonly head: number;
}

type Transport = ConnectionAbout['transport'];

/** Shared by all connections, so that each needs only one reference. */
export interface ConnectionEvents {
  readonly logger: Logger;
  readonly refusalLog: RefusalLog;
  readonly onSubscriptions: (more: number) => void;
  readonly onCatchUp: (begun: CatchUpBegun) => CatchUpObserver;
  readonly onGap: (reason: GapReason) => void;
  readonly onResume: (transport: Transport) => void;
  readonly onEnd: (transport: Transport, reason: string, seconds: number) => void;
}

/** Reports one connection, from its first log line to its last. */
export class ConnectionReport implements ConnectionObserver {
  readonly #about: ConnectionAbout;
  readonly #events: ConnectionEvents;
  readonly #startMs = performance.now();
  #reason: CloseReason | undefined;
  #open = 0;
  #subscribed = 0;
  #gaps = 0;

  constructor(about: ConnectionAbout, events: ConnectionEvents) {
    this.#about = about;
    this.#events = events;
    this.#tell('info', {}, 'connected');
  }

  subscribed(
    { id: subscription, patterns }: { readonly id: string; readonly patterns: readonly string[] },
    { position, head }: { readonly position: Position; readonly head: number },
  ): CatchUpObserver | undefined {
    this.#open++;
    this.#subscribed++;
    this.#events.onSubscriptions(1);
    this.#tell('info', { subscription, patterns, cursor: formatCursor(position) }, 'subscribed');
    if (position.sequence >= head) return undefined;
    const { id: connection, handshake } = this.#about;
    return this.#events.onCatchUp({ connection, subscription, handshake, position, head });
  }

  unsubscribed(subscription: string): void {
    this.#open--;
    this.#events.onSubscriptions(-1);
    this.#tell('info', { subscription }, 'unsubscribed');
  }

  gap(subscription: string, { from, to, reason }: Gap): void {
    this.#gaps++;
    this.#events.onGap(reason);
    const range = { from: formatCursor(from), to: formatCursor(to) };
    this.#tell('warn', { subscription, ...range, reason }, 'gap');
  }

  /** Called when a client came back with its cursor. */
  resumed(): void {
    this.#events.onResume(this.#about.transport);
  }

  /** Called when a limit refused a request of the connection. */
  limited(message: string): void {
    this.#refuse('limit reached', 'limit_exceeded', message);
  }

  /** Called when the gateway refused a message for its token or permissions. */
  refused(code: string, message: string): void {
    this.#refuse('refused', code, message);
  }

  #refuse(message: string, code: string, reason: string): void {
    const { id: connection, transport, subject, handshake } = this.#about;
    this.#events.refusalLog.tell({ subject }, { message, code, transport }, () => {
      return { connection, reason, ...traceIds(handshake) };
    });
  }

  closing(reason: CloseReason): void {
    this.#reason ??= reason;
  }

  /** Called when the socket has closed. */
  disconnected(counts: ConnectionCounts): void {
    const reason = this.#reason ?? 'client';
    this.#events.onSubscriptions(-this.#open);
    const ms = Math.round(performance.now() - this.#startMs);
    this.#events.onEnd(this.#about.transport, reason, ms / 1000);
    const totals = { subscriptions: this.#subscribed, gaps: this.#gaps, ms };
    this.#tell('info', { reason, ...counts, ...totals }, 'disconnected');
  }

  /** Connections share a logger, because one of its own would cost each some 2 KB. */
  #tell(level: 'info' | 'warn', what: object, message: string): void {
    const { id: connection, transport, subject, handshake } = this.#about;
    const where = { connection, transport, subject, ...traceIds(handshake) };
    this.#events.logger[level]({ ...where, ...what }, message);
  }
}
