import type { Relation, Table, Values } from './table.ts';

/*
 * What one client, address or user may use of a service. A service counts what comes to it, and not
 * to others; the processes of one gateway count together (TIDEMARK_GATEWAY_PROCESSES). Every refusal adds to the counter `limits_hit_total`.
 */

const MIB = 1024 * 1024;

/** The limits that all services have. */
export const commonLimits = {
  trustedProxies: {
    variable: 'TIDEMARK_TRUSTED_PROXIES',
    type: 'text',
    default: '',
    meaning:
      'Addresses and CIDR ranges of proxies, separated by commas; their X-Forwarded-For is trusted.',
  },
  allowedHosts: {
    variable: 'TIDEMARK_ALLOWED_HOSTS',
    type: 'text',
    default: '',
    meaning:
      'Names under which a client reaches the service, separated by commas; `*` for any. Empty: any, but loopback names alone where it listens on loopback and no trusted proxy sends the request.',
  },
  metricsCacheMs: {
    variable: 'TIDEMARK_METRICS_CACHE_MS',
    type: 'integer',
    default: 1000,
    min: 0,
    max: 60_000,
    unit: 'ms',
    meaning: 'How old the metrics may be that /metrics answers with.',
  },
  refusalsPerSecondMax: {
    variable: 'TIDEMARK_HTTP_REFUSALS_PER_SECOND_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    unit: 'requests',
    meaning:
      'Most requests without a valid token from one address in a second; beyond it all get 429.',
  },
  headersTimeoutMs: {
    variable: 'TIDEMARK_HTTP_HEADERS_TIMEOUT_MS',
    type: 'integer',
    default: 10_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    meaning: 'How long a connection may take to send its headers, which name its user; then 408.',
  },
  requestTimeoutMs: {
    variable: 'TIDEMARK_HTTP_REQUEST_TIMEOUT_MS',
    type: 'integer',
    default: 30_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    meaning: 'How long a whole request with its body may take to arrive; then 408.',
  },
  answerStallMs: {
    variable: 'TIDEMARK_HTTP_STALL_TIMEOUT_MS',
    type: 'integer',
    default: 30_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    meaning: 'How long a client may read nothing of an HTTP answer; then its socket is closed.',
  },
  progressMs: {
    variable: 'TIDEMARK_HTTP_PROGRESS_MS',
    type: 'integer',
    default: 10_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    meaning: 'Time in which a client must send or take TIDEMARK_HTTP_PROGRESS_BYTES_MIN.',
  },
  progressBytesMin: {
    variable: 'TIDEMARK_HTTP_PROGRESS_BYTES_MIN',
    type: 'integer',
    default: 32 * 1024,
    min: 0,
    unit: 'bytes',
    meaning:
      'Least that a client sends of a body, or takes of an answer, in that time; 0 asks for none.',
  },
  headerBytesMax: {
    variable: 'TIDEMARK_HTTP_HEADER_BYTES_MAX',
    type: 'integer',
    default: 16 * 1024,
    min: 1024,
    max: 1024 * 1024,
    unit: 'bytes',
    meaning: 'Largest request line and headers; larger ones are refused with 431.',
  },
} as const satisfies Table;

/** The relations between the limits that all services have. */
export const limitRelations: readonly Relation<Values<typeof commonLimits>>[] = [
  {
    holds: ({ headersTimeoutMs, requestTimeoutMs }) => headersTimeoutMs <= requestTimeoutMs,
    rule: 'TIDEMARK_HTTP_REQUEST_TIMEOUT_MS must be at least TIDEMARK_HTTP_HEADERS_TIMEOUT_MS',
  },
];

/** The limits of ingest. */
export const ingestLimits = {
  socketsMax: {
    variable: 'TIDEMARK_INGEST_SOCKETS_MAX',
    type: 'integer',
    default: 10_000,
    min: 1,
    unit: 'sockets',
    meaning: 'Most sockets of ingest at once; a further one is closed.',
  },
  socketsPerAddressMax: {
    variable: 'TIDEMARK_INGEST_SOCKETS_PER_ADDRESS_MAX',
    type: 'integer',
    default: 5000,
    min: 1,
    unit: 'sockets',
    meaning: 'Most sockets of ingest from one address other than a proxy; a further one is closed.',
  },
  bodiesBytesPerUserMax: {
    variable: 'TIDEMARK_INGEST_BODIES_BYTES_PER_USER_MAX',
    type: 'integer',
    default: 32 * MIB,
    min: 1024,
    unit: 'bytes',
    meaning:
      'Most bytes of bodies of one user in memory at the same time; beyond it requests get 429.',
  },
  bodiesBytesMax: {
    variable: 'TIDEMARK_INGEST_BODIES_BYTES_MAX',
    type: 'integer',
    default: 64 * MIB,
    min: 1024,
    unit: 'bytes',
    meaning:
      'Most bytes of bodies of all users in memory, parsed up to twelve times as much; a part is kept for users who have none.',
  },
  bodyBytesPerSecondMax: {
    variable: 'TIDEMARK_INGEST_BODY_BYTES_PER_SECOND_MAX',
    type: 'integer',
    default: 16 * MIB,
    min: 1024,
    unit: 'bytes',
    meaning: 'Most bytes of bodies of one user in a second, inflated; beyond it requests get 429.',
  },
  publishesPerSecondMax: {
    variable: 'TIDEMARK_INGEST_PUBLISHES_PER_SECOND_MAX',
    type: 'integer',
    default: 20_000,
    min: 1,
    unit: 'events',
    meaning: 'Most events of one user in a second; beyond it requests get 429.',
  },
} as const satisfies Table;

/** The limits of the gateway. */
export const gatewayLimits = {
  connectionsPerAddressMax: {
    variable: 'TIDEMARK_GATEWAY_CONNECTIONS_PER_ADDRESS_MAX',
    type: 'integer',
    default: 10_000,
    min: 1,
    unit: 'connections',
    meaning: 'Most connections from one IPv4 address or IPv6 /64 network; a further one gets 429.',
  },
  connectionsPerUserMax: {
    variable: 'TIDEMARK_GATEWAY_CONNECTIONS_PER_USER_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    unit: 'connections',
    meaning: 'Most connections of one user; beyond it handshakes are refused with 429.',
  },
  handshakesPerSecondMax: {
    variable: 'TIDEMARK_GATEWAY_HANDSHAKES_PER_SECOND_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    unit: 'handshakes',
    meaning:
      'Most handshakes, tickets and heads from one address in a second, with any token; then 429.',
  },
  ticketsPerSecondMax: {
    variable: 'TIDEMARK_GATEWAY_TICKETS_PER_SECOND_MAX',
    type: 'integer',
    default: 10,
    min: 1,
    unit: 'tickets',
    meaning: 'Most tickets that one user requests in a second; a further request gets 429.',
  },
  connectionPatternsMax: {
    variable: 'TIDEMARK_GATEWAY_CONNECTION_PATTERNS_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    unit: 'patterns',
    meaning: 'Most patterns in all subscriptions of one connection; a further one is refused.',
  },
  patternBytesPerUserMax: {
    variable: 'TIDEMARK_GATEWAY_PATTERN_BYTES_PER_USER_MAX',
    type: 'integer',
    default: 32 * MIB,
    min: 1024,
    unit: 'bytes',
    meaning: 'Memory for the patterns of one user in all subscriptions; a further one is refused.',
  },
  patternBytesMax: {
    variable: 'TIDEMARK_GATEWAY_PATTERN_BYTES_MAX',
    type: 'integer',
    default: 256 * MIB,
    min: 1024,
    unit: 'bytes',
    meaning:
      'Memory for the patterns of all subscriptions; the last quarter is for users with little.',
  },
  wildcardsPerUserMax: {
    variable: 'TIDEMARK_GATEWAY_WILDCARDS_PER_USER_MAX',
    type: 'integer',
    default: 500,
    min: 0,
    unit: 'wildcards',
    meaning:
      'Most * of one user in patterns with more than three of them; a further one is refused.',
  },
  wildcardsMax: {
    variable: 'TIDEMARK_GATEWAY_WILDCARDS_MAX',
    type: 'integer',
    default: 5000,
    min: 0,
    unit: 'wildcards',
    meaning:
      'Most * in patterns with more than three of them; the last quarter is for users with few.',
  },
  messageBytesPerSecondMax: {
    variable: 'TIDEMARK_GATEWAY_MESSAGE_BYTES_PER_SECOND_MAX',
    type: 'integer',
    default: 4 * MIB,
    min: 1024,
    unit: 'bytes',
    meaning:
      'Most bytes of WebSocket messages of one user in a second, with what subscriptions and handshakes cost (PROTOCOL.md 8.2); beyond it the gateway reads from the user later.',
  },
  messagesPerSecondMax: {
    variable: 'TIDEMARK_GATEWAY_MESSAGES_PER_SECOND_MAX',
    type: 'integer',
    default: 500,
    min: 1,
    unit: 'messages',
    meaning:
      'Messages and pings of one WebSocket client in a second; further ones are refused, then 4007.',
  },
  publishesPerSecondMax: {
    variable: 'TIDEMARK_GATEWAY_PUBLISHES_PER_SECOND_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    unit: 'events',
    meaning: 'Most events that one user publishes in a second; a further one is refused.',
  },
  catchUpsPerUserMax: {
    variable: 'TIDEMARK_GATEWAY_CATCH_UPS_PER_USER_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    unit: 'subscriptions',
    meaning: 'Most subscriptions of one user that catch up at once; a further one is refused.',
  },
  lastBytesMax: {
    variable: 'TIDEMARK_GATEWAY_LAST_BYTES_MAX',
    type: 'integer',
    default: 32 * MIB,
    min: MIB,
    unit: 'bytes',
    meaning:
      'Most memory for the lists of last events that subscriptions have yet to read, 8 bytes for each topic; a part is kept for users who have none. Processes divide it.',
  },
} as const satisfies Table;

/** The limits of replay. */
export const replayLimits = {
  socketsMax: {
    variable: 'TIDEMARK_REPLAY_SOCKETS_MAX',
    type: 'integer',
    default: 10_000,
    min: 1,
    unit: 'sockets',
    meaning: 'Most sockets of replay at once; a further one is closed.',
  },
  socketsPerAddressMax: {
    variable: 'TIDEMARK_REPLAY_SOCKETS_PER_ADDRESS_MAX',
    type: 'integer',
    default: 5000,
    min: 1,
    unit: 'sockets',
    meaning: 'Most sockets of replay from one address other than a proxy; a further one is closed.',
  },
  readsPerUserMax: {
    variable: 'TIDEMARK_REPLAY_READS_PER_USER_MAX',
    type: 'integer',
    default: 16,
    min: 1,
    unit: 'requests',
    meaning: 'Most history requests of one user at once, with exports; a further one gets 429.',
  },
  readsMax: {
    variable: 'TIDEMARK_REPLAY_READS_MAX',
    type: 'integer',
    default: 256,
    min: 1,
    unit: 'requests',
    meaning: 'Most history requests of all users at once; a part is kept for users who have none.',
  },
  pageBytesMax: {
    variable: 'TIDEMARK_REPLAY_PAGE_BYTES_MAX',
    type: 'integer',
    default: 128 * MIB,
    min: 16 * MIB,
    unit: 'bytes',
    meaning:
      'Most bytes that all pages of history in memory take. Pages get shorter where others have the rest, and a part is kept for users who have none.',
  },
  archiveRequestBytesMax: {
    variable: 'TIDEMARK_REPLAY_ARCHIVE_REQUEST_BYTES_MAX',
    type: 'integer',
    default: 16 * MIB,
    min: 2 * MIB,
    unit: 'bytes',
    meaning:
      'Most bytes of reads of gateways that wait, 1 KiB more for each; a gateway repeats a further one, and a part is kept for users who have none.',
  },
  waitSecondsMax: {
    variable: 'TIDEMARK_REPLAY_WAIT_SECONDS_MAX',
    type: 'integer',
    default: 60,
    min: 1,
    max: 3600,
    unit: 's',
    meaning:
      'Longest `wait` of a history request. Proxies in front must wait longer for an answer.',
  },
  waitsPerUserMax: {
    variable: 'TIDEMARK_REPLAY_WAITS_PER_USER_MAX',
    type: 'integer',
    default: 64,
    min: 1,
    unit: 'requests',
    meaning: 'Most history requests of one user that wait at once; a further one gets 429.',
  },
  waitsMax: {
    variable: 'TIDEMARK_REPLAY_WAITS_MAX',
    type: 'integer',
    default: 1024,
    min: 1,
    unit: 'requests',
    meaning:
      'Most history requests of all users that wait at once; a part is kept for users who have none.',
  },
  inboxFollowsMax: {
    variable: 'TIDEMARK_REPLAY_INBOX_FOLLOWS_MAX',
    type: 'integer',
    default: 100,
    min: 0,
    max: 1000,
    unit: 'patterns',
    meaning: 'Most patterns that one user follows, and most that one user mutes.',
  },
  inboxChangesPerSecondMax: {
    variable: 'TIDEMARK_REPLAY_INBOX_CHANGES_PER_SECOND_MAX',
    type: 'integer',
    default: 20,
    min: 1,
    unit: 'changes',
    meaning: 'Most changes of one inbox in a second; a further one is refused with 429.',
  },
  exportsPerUserMax: {
    variable: 'TIDEMARK_REPLAY_EXPORTS_PER_USER_MAX',
    type: 'integer',
    default: 4,
    min: 1,
    unit: 'exports',
    meaning: 'Most NDJSON exports of one user at once; a further one is refused with 429.',
  },
  exportsMax: {
    variable: 'TIDEMARK_REPLAY_EXPORTS_MAX',
    type: 'integer',
    default: 32,
    min: 1,
    unit: 'exports',
    meaning: 'Most NDJSON exports of all users at once; a part is kept for users who have none.',
  },
} as const satisfies Table;
