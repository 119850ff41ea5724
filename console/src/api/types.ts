/*
 * What the console reads of the services, by PROTOCOL sections 11 (history), 13 (admin) and 14 (inboxes). Times are RFC 3339
 * texts, cursors are texts, and figures per second are averages of the last 10 s.
 */

/** `GET console/configuration.json`, which needs no token. */
export interface Configuration {
  readonly version: string;
  /** `null` is the origin that the page came from. */
  readonly gateway: string | null;
  readonly replay: string | null;
  /** Whether traces can be read. */
  readonly traces: boolean;
}

/** `GET /v1/me`: whose token it is, and what it allows. */
export interface Me {
  readonly sub: string;
  readonly permissions: readonly string[];
  readonly expiresAt: string;
}

export type SubscriptionState = 'starting' | 'catching-up' | 'live';

export interface ConnectionSubscription {
  readonly id: string;
  readonly topics: readonly string[];
  /** How many more than the listed there are; likewise for types. */
  readonly topicsLeftOut?: number;
  readonly types?: readonly string[];
  readonly typesLeftOut?: number;
  readonly deliver: 'all' | 'latest';
  readonly state: SubscriptionState;
  readonly cursor: string | null;
  /** Sequences between it and the head. */
  readonly behind: number;
}

export interface Slow {
  /** `socket-full`, `cold-read` or `catching-up`. */
  readonly reason: string;
  /** From where it is sent what it missed. */
  readonly tier?: string;
  readonly sinceMs: number;
}

export interface Connection {
  readonly connection: string;
  readonly gateway: string;
  readonly sub: string;
  readonly transport: 'websocket' | 'sse';
  readonly connectedAt: string;
  readonly tokenExpiresAt: string;
  readonly address: string;
  readonly subscriptions: readonly ConnectionSubscription[];
  /** How many more than the listed there are. */
  readonly subscriptionsLeftOut?: number;
  readonly cursor: string | null;
  readonly behind: number;
  readonly unsentBytes: number;
  readonly delivered: number;
  readonly fellBehind: number;
  readonly slow: Slow | null;
}

export interface GatewayAnswer {
  readonly gateway: string;
  readonly connections: number;
  readonly answered: boolean;
}

/** `GET /v1/admin/connections`. */
export interface ConnectionList {
  readonly items: readonly Connection[];
  readonly gateways: readonly GatewayAnswer[];
  readonly next: string | null;
  readonly complete: boolean;
}

export interface Quantiles {
  readonly p50: number;
  readonly p99: number;
}

export interface Together {
  readonly gateways: number;
  readonly connections: number;
  readonly slow: number;
  readonly catchUps: number;
  readonly eventsInPerSecond: number;
  readonly eventsOutPerSecond: number;
  readonly bytesOutPerSecond: number;
  /** `null` while nothing was delivered in the last 10 s. */
  readonly deliveryMs: Quantiles | null;
}

interface ServiceBase {
  readonly instance: string;
  readonly version: string;
  readonly startedAt: string;
  /** Milliseconds since it last announced itself. */
  readonly seenMs: number;
  readonly ready: boolean;
  readonly memoryBytes: number;
}

export interface GatewayStats extends ServiceBase {
  readonly service: 'gateway';
  readonly connections: { readonly websocket: number; readonly sse: number };
  readonly subscriptions: number;
  readonly slow: number;
  readonly catchUps: number;
  readonly eventsInPerSecond: number;
  readonly eventsOutPerSecond: number;
  readonly bytesOutPerSecond: number;
  readonly deliveryMs: Quantiles | null;
  readonly fellBehind: number;
  /** `null` before it knows the log. */
  readonly head: string | null;
}

export interface IngestStats extends ServiceBase {
  readonly service: 'ingest';
  readonly eventsPerSecond: number;
  readonly refusedPerSecond: number;
  readonly duplicatesPerSecond: number;
  readonly appendMs: Quantiles | null;
  readonly store: 'ok' | 'full' | 'stuck' | 'offline';
}

/** `GET /v1/admin/rebuild` at a replay service; `done` and `total` count sequences of the log. */
export interface Rebuild {
  readonly state: 'running' | 'complete' | 'failed' | 'cancelled';
  readonly done: number;
  readonly total: number;
  readonly unreadable: number;
  readonly startedAt: string;
  readonly endedAt?: string;
  /** Why it has no result. */
  readonly reason?: string;
}

export interface ReplayStats extends ServiceBase {
  readonly service: 'replay';
  /** Of the newest and of the oldest event of the archive; `null` while it has none. */
  readonly position: string | null;
  readonly first: string | null;
  readonly behind: number;
  readonly events: number;
  /** Of the database file. */
  readonly bytes: number;
  readonly requestsPerSecond: number;
  readonly rebuild: Rebuild | null;
}

export type ServiceStats = GatewayStats | IngestStats | ReplayStats;

/** `GET /v1/admin/stats`, once a second. */
export interface Stats {
  readonly time: string;
  readonly together: Together;
  readonly services: readonly ServiceStats[];
}

export interface StreamReplica {
  readonly name: string;
  readonly leader: boolean;
  readonly current: boolean;
  readonly offline: boolean;
  readonly lag: number;
}

export interface Stream {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly messages: number;
  readonly bytes: number;
  readonly firstCursor?: string | null;
  readonly firstTime: string | null;
  readonly lastTime: string | null;
  /** `null` where there is none, or NATS runs alone. */
  readonly leader: string | null;
  /** None where NATS runs alone. */
  readonly replicas: readonly StreamReplica[];
  /** `null` where there is none. */
  readonly limits: {
    readonly bytes: number | null;
    readonly ageSeconds: number | null;
    readonly messages: number | null;
  };
  readonly storage: string;
}

/** `GET /v1/admin/streams`. */
export interface StreamList {
  readonly items: readonly Stream[];
  /** Names of streams that nobody answered for, such as one without a leader. */
  readonly unanswered: readonly string[];
}

export interface Span {
  readonly id: string;
  readonly parent: string | null;
  readonly service: string;
  readonly name: string;
  /** Since 1970, with a fraction. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly error: boolean;
}

/** `GET /v1/admin/traces/{traceId}`. */
export interface Trace {
  readonly traceId: string;
  /** Its page in Jaeger. */
  readonly url: string | null;
  readonly spans: readonly Span[];
  /** How many more than the listed there are. */
  readonly spansLeftOut?: number;
}

/** A CloudEvent in JSON (PROTOCOL 3). */
export interface CloudEvent {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly topic: string;
  readonly time?: string;
  readonly publisher?: string;
  readonly traceparent?: string;
  readonly data?: unknown;
  readonly [attribute: string]: unknown;
}
