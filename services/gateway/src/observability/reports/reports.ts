import type { RefusalLog } from '@tidemark/http';
import { asTidemarkError, type TraceContext } from '@tidemark/protocol';
import {
  fail,
  type Logger,
  type Metrics,
  type Span,
  type Tracer,
  traceIds,
} from '@tidemark/telemetry';
import { CatchUpReport } from './catch-up-report.ts';
import {
  type ConnectionAbout,
  type ConnectionEvents,
  ConnectionReport,
} from './connection-report.ts';
import { Publishes } from './publishes.ts';

const LIFETIME_BUCKETS_SECONDS = [1, 10, 60, 600, 3600, 6 * 3600, 24 * 3600];
const CATCH_UP_BUCKETS_SECONDS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];
const CATCH_UP_BUCKETS_EVENTS = [0, 1, 10, 100, 1000, 10_000, 100_000, 1_000_000];

export type Transport = ConnectionAbout['transport'];

export interface ReportsOptions {
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly tracer: Tracer;
  readonly refusalLog: RefusalLog;
}

/** A handshake that was refused. */
export interface RefusedHandshake {
  readonly transport: Transport;
  readonly address: string;
  readonly handshake: Span;
}

/** Reports connections to operators: their log lines, metrics and traces in one place. */
export class Reports {
  readonly tracer: Tracer;
  readonly publishes: Publishes;
  readonly #logger: Logger;
  readonly #refusalLog: RefusalLog;
  readonly #meters;
  readonly #connectionEvents: ConnectionEvents;
  #subscriptions = 0;

  constructor({ logger, metrics, tracer, refusalLog }: ReportsOptions) {
    this.#refusalLog = refusalLog;
    this.tracer = tracer;
    this.#logger = logger;
    this.publishes = new Publishes({ metrics, tracer });
    this.#meters = createMeters(metrics);
    this.#connectionEvents = this.#createConnectionEvents();
    metrics.gauge('gateway_subscriptions', 'Subscriptions.', () => this.#subscriptions);
  }

  /** Subscriptions that have begun and not ended. */
  get subscriptions(): number {
    return this.#subscriptions;
  }

  /**
   * The span of a WebSocket handshake; an SSE connection has that of its request.
   *
   * @param parent the trace that it continues
   * @param startMs milliseconds since 1970
   */
  handshake(parent: TraceContext | undefined, startMs: number): Span {
    return this.tracer.span('GET /v1/ws', {
      kind: 'server',
      startMs,
      parent,
      attributes: { 'http.request.method': 'GET', 'http.route': '/v1/ws' },
    });
  }

  countRefused(transport: Transport, error: unknown): void {
    this.#meters.refused.inc({ transport, code: asTidemarkError(error).code });
  }

  refused(about: RefusedHandshake, error: unknown): void {
    this.countRefused(about.transport, error);
    this.reportRefused(about, error);
  }

  reportRefused({ transport, address, handshake }: RefusedHandshake, error: unknown): void {
    const { code, message: reason } = asTidemarkError(error);
    this.#refusalLog.tell({ address }, { message: 'refused', code, transport }, () => {
      return { reason, ...traceIds(handshake) };
    });
    fail(handshake, { code });
  }

  connected(about: ConnectionAbout): ConnectionReport {
    this.#meters.opened.inc({ transport: about.transport });
    return new ConnectionReport(about, this.#connectionEvents);
  }

  #createConnectionEvents(): ConnectionEvents {
    const meters = this.#meters;
    return {
      logger: this.#logger,
      refusalLog: this.#refusalLog,
      onSubscriptions: (more) => {
        this.#subscriptions += more;
      },
      onCatchUp: (options) => {
        return new CatchUpReport(options, this.tracer, ({ tier, seconds, events, how }) => {
          meters.catchUps.inc({ tier, how });
          meters.catchUpSeconds.observe({ tier }, seconds);
          meters.catchUpEvents.observe({ tier }, events);
        });
      },
      onGap: (reason) => meters.gaps.inc({ reason }),
      onResume: (transport) => meters.resumed.inc({ transport }),
      onEnd: (transport, reason, seconds) => {
        meters.closed.inc({ transport, reason });
        meters.lifetime.observe({ transport }, seconds);
      },
    };
  }
}

function createMeters(metrics: Metrics) {
  return {
    opened: metrics.counter('gateway_connections_opened_total', 'Handshakes that succeeded.', [
      'transport',
    ]),
    refused: metrics.counter('gateway_handshakes_refused_total', 'Handshakes refused, by code.', [
      'transport',
      'code',
    ]),
    closed: metrics.counter(
      'gateway_connections_closed_total',
      'Connections that ended, by reason.',
      ['transport', 'reason'],
    ),
    lifetime: metrics.histogram('gateway_connection_seconds', 'How long connections lasted.', {
      buckets: LIFETIME_BUCKETS_SECONDS,
      labels: ['transport'],
    }),
    resumed: metrics.counter('gateway_resumes_total', 'Subscriptions that began at a cursor.', [
      'transport',
    ]),
    gaps: metrics.counter('gateway_gaps_told_total', 'Gaps sent to clients, by reason.', [
      'reason',
    ]),
    catchUps: metrics.counter(
      'gateway_catch_ups_ended_total',
      'Catch-ups by the oldest tier that they read, and how they ended.',
      ['tier', 'how'],
    ),
    catchUpSeconds: metrics.histogram('gateway_catch_up_seconds', 'Duration of catch-ups.', {
      buckets: CATCH_UP_BUCKETS_SECONDS,
      labels: ['tier'],
    }),
    catchUpEvents: metrics.histogram('gateway_catch_up_events', 'Events of catch-ups.', {
      buckets: CATCH_UP_BUCKETS_EVENTS,
      labels: ['tier'],
    }),
  };
}
