import { type CloseReason, formatCursor, type GapReason, type Position } from '@tidemark/protocol';
import { type Logger, type Span, traceIds } from '@tidemark/telemetry';
import type { Gap } from '../../connections/encoder.ts';
import type { CatchUpObserver, ConnectionObserver } from '../../connections/observer.ts';

/** What every line about a connection names. */
export interface ConnectionAbout {
  readonly id: string;
  readonly transport: 'websocket' | 'sse';
  readonly subject: string;
  readonly handshake: Span;
}

/** How much a connection was given, and the close code where there is one. */
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

/** The same for all connections, so that each needs only a reference to it. */
export interface ConnectionEvents {
  readonly logger: Logger;
  readonly onSubscriptions: (more: number) => void;
  readonly onCatchUp: (begun: CatchUpBegun) => CatchUpObserver;
  readonly onGap: (reason: GapReason) => void;
  readonly onResume: (transport: Transport) => void;
  readonly onEnd: (transport: Transport, reason: string, seconds: number) => void;
}

/** What is told of one connection, from its first line to its last. */
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

  /** A client came back with its cursor. */
  resumed(): void {
    this.#events.onResume(this.#about.transport);
  }

  /** A limit kept the connection from what it asked for. */
  limited(message: string): void {
    this.#tell('info', { reason: message }, 'limit reached');
  }

  /** A newer token was not accepted. */
  refused(code: string, message: string): void {
    this.#tell('info', { code, reason: message }, 'refused');
  }

  closing(reason: CloseReason): void {
    this.#reason ??= reason;
  }

  /** The socket is gone. */
  disconnected(counts: ConnectionCounts): void {
    const reason = this.#reason ?? 'client';
    this.#events.onSubscriptions(-this.#open);
    const ms = Math.round(performance.now() - this.#startMs);
    this.#events.onEnd(this.#about.transport, reason, ms / 1000);
    const totals = { subscriptions: this.#subscribed, gaps: this.#gaps, ms };
    this.#tell('info', { reason, ...counts, ...totals }, 'disconnected');
  }

  /** A logger of its own would cost each connection some 2 KB. */
  #tell(level: 'info' | 'warn', what: object, message: string): void {
    const { id: connection, transport, subject, handshake } = this.#about;
    const where = { connection, transport, subject, ...traceIds(handshake) };
    this.#events.logger[level]({ ...where, ...what }, message);
  }
}
