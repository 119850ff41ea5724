import { DATA_FOLDER, HOST, JAEGER_PORT, NATS_PORT, SERVICE_PORTS } from './defaults.mjs';
import {
  commonLimits,
  gatewayLimits,
  ingestLimits,
  limitRelations,
  replayLimits,
} from './limit-settings.ts';
import type { Relation, Table, Values } from './table.ts';
import { tokens } from './token-settings.ts';

/*
 * Every setting of every Tidemark process. The reference in CONFIGURATION.md is generated from
 * here (`npm run docs:config`), and so is the list of names that a start accepts.
 */

const MIB = 1024 * 1024;

/** The settings that all services have. */
export const common = {
  natsUrl: {
    variable: 'NATS_URL',
    type: 'text',
    default: `nats://127.0.0.1:${NATS_PORT}`,
    meaning: 'NATS servers, separated by commas; tls:// makes TLS mandatory.',
  },
  natsUser: {
    variable: 'TIDEMARK_NATS_USER',
    type: 'text',
    default: '',
    meaning: 'User at NATS, such as one of `infra/nats/users.conf`; empty sends none.',
  },
  natsPassword: {
    variable: 'TIDEMARK_NATS_PASSWORD',
    type: 'secret',
    default: '',
    meaning: 'Password of that user.',
  },
  natsTlsCa: {
    variable: 'TIDEMARK_NATS_TLS_CA',
    type: 'text',
    default: '',
    meaning:
      'PEM file of the authority that signed the certificates of NATS; it makes TLS mandatory.',
  },
  host: {
    variable: 'TIDEMARK_HOST',
    type: 'text',
    default: HOST,
    meaning: 'Address that the HTTP ports listen on; 0.0.0.0 opens them to the network.',
  },
  logLevel: {
    variable: 'TIDEMARK_LOG_LEVEL',
    type: 'choice',
    default: 'info',
    choices: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    meaning: 'The lowest level that is logged.',
  },
  ...tokens,
  ...commonLimits,
  allowedOrigins: {
    variable: 'TIDEMARK_ALLOWED_ORIGINS',
    type: 'text',
    default: '',
    meaning:
      'Origins of the web pages that may use the service, separated by commas; others get 403.',
  },
  adminHost: {
    variable: 'TIDEMARK_ADMIN_HOST',
    type: 'text',
    default: HOST,
    meaning: 'Address of the admin ports.',
  },
} as const satisfies Table;

const commonRelations: readonly Relation<Values<typeof common>>[] = [
  ...limitRelations,
  {
    // The NATS client ignores credentials in a URL and connects without them.
    holds: ({ natsUrl }) => !natsUrl.includes('@'),
    rule: 'NATS_URL must hold no user and no password; set TIDEMARK_NATS_USER and TIDEMARK_NATS_PASSWORD',
  },
  {
    holds: ({ natsUser, natsPassword }) => (natsUser === '') === (natsPassword === ''),
    rule: 'TIDEMARK_NATS_USER and TIDEMARK_NATS_PASSWORD must be set together',
  },
];

/** The settings of ingest. */
export const ingest = {
  ...common,
  ...ingestLimits,
  port: {
    variable: 'TIDEMARK_INGEST_PORT',
    type: 'integer',
    default: SERVICE_PORTS.ingest,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'HTTP port of ingest; 0 picks a free one.',
  },
  adminPort: {
    variable: 'TIDEMARK_INGEST_ADMIN_PORT',
    type: 'integer',
    default: 0,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'Admin port of ingest, the only one with /metrics and /v1/admin; 0 opens none.',
  },
  bodyBytesMax: {
    variable: 'TIDEMARK_INGEST_BODY_BYTES_MAX',
    type: 'integer',
    default: MIB,
    min: 1024,
    max: 64 * MIB,
    unit: 'bytes',
    meaning: 'Largest HTTP body; a larger one is refused with 413.',
  },
  batchEventsMax: {
    variable: 'TIDEMARK_INGEST_BATCH_EVENTS_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    max: 10_000,
    unit: 'events',
    meaning: 'Most events in one batch; a longer one is refused with 413.',
  },
  appendTimeoutMs: {
    variable: 'TIDEMARK_INGEST_APPEND_TIMEOUT_MS',
    type: 'integer',
    default: 1500,
    min: 100,
    max: 30_000,
    unit: 'ms',
    meaning: "How long to wait for the stream's acknowledgement before answering 503.",
  },
  appendsMax: {
    variable: 'TIDEMARK_INGEST_APPENDS_MAX',
    type: 'integer',
    default: 20_000,
    min: 1,
    unit: 'events',
    meaning: 'Most events waiting for their acknowledgement; beyond it requests get 503.',
  },
  drainMs: {
    variable: 'TIDEMARK_INGEST_DRAIN_MS',
    type: 'integer',
    default: 5000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    meaning: 'How long running requests may take to finish after SIGTERM.',
  },
} as const satisfies Table;

/** The relations between the settings of ingest. */
export const ingestRelations: readonly Relation<Values<typeof ingest>>[] = [
  ...commonRelations,
  {
    holds: ({ batchEventsMax, publishesPerSecondMax }) => batchEventsMax <= publishesPerSecondMax,
    rule: 'TIDEMARK_INGEST_PUBLISHES_PER_SECOND_MAX must be at least TIDEMARK_INGEST_BATCH_EVENTS_MAX',
  },
  {
    holds: ({ bodyBytesMax, bodiesBytesPerUserMax }) => bodyBytesMax <= bodiesBytesPerUserMax,
    rule: 'TIDEMARK_INGEST_BODIES_BYTES_PER_USER_MAX must be at least TIDEMARK_INGEST_BODY_BYTES_MAX',
  },
  {
    holds: ({ bodyBytesMax, bodiesBytesMax }) => bodyBytesMax <= bodiesBytesMax,
    rule: 'TIDEMARK_INGEST_BODIES_BYTES_MAX must be at least TIDEMARK_INGEST_BODY_BYTES_MAX',
  },
  {
    holds: ({ batchEventsMax, appendsMax }) => batchEventsMax <= appendsMax,
    rule: 'TIDEMARK_INGEST_APPENDS_MAX must be at least TIDEMARK_INGEST_BATCH_EVENTS_MAX',
  },
];

/** The settings of the gateway. */
export const gateway = {
  ...common,
  ...gatewayLimits,
  port: {
    variable: 'TIDEMARK_GATEWAY_PORT',
    type: 'integer',
    default: SERVICE_PORTS.gateway,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'HTTP and WebSocket port of the gateway; 0 picks a free one.',
  },
  adminPort: {
    variable: 'TIDEMARK_GATEWAY_ADMIN_PORT',
    type: 'integer',
    default: 0,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'Admin port of the gateway, the only one with /metrics and /v1/admin; 0 opens none.',
  },
  heartbeatMs: {
    variable: 'TIDEMARK_GATEWAY_HEARTBEAT_MS',
    type: 'integer',
    default: 15_000,
    min: 100,
    max: 600_000,
    unit: 'ms',
    meaning: 'A connection that received nothing for this long gets a heartbeat with its cursor.',
  },
  idleTimeoutMs: {
    variable: 'TIDEMARK_GATEWAY_IDLE_TIMEOUT_MS',
    type: 'integer',
    default: 45_000,
    min: 200,
    max: 3_600_000,
    unit: 'ms',
    meaning: 'A WebSocket peer that answered no ping for this long is closed with 4002.',
  },
  stallTimeoutMs: {
    variable: 'TIDEMARK_GATEWAY_STALL_TIMEOUT_MS',
    type: 'integer',
    default: 30_000,
    min: 100,
    max: 3_600_000,
    unit: 'ms',
    meaning: 'A connection whose client read nothing for this long is closed with 4001.',
  },
  tokenGraceMs: {
    variable: 'TIDEMARK_GATEWAY_TOKEN_GRACE_MS',
    type: 'integer',
    default: 5000,
    min: 0,
    max: 3_600_000,
    unit: 'ms',
    meaning:
      'How long a connection outlives its token, so that its client can send a newer one; then 4004.',
  },
  tailBytesMax: {
    variable: 'TIDEMARK_GATEWAY_TAIL_BYTES_MAX',
    type: 'integer',
    default: 256 * MIB,
    min: 64 * 1024,
    unit: 'bytes',
    meaning: 'Memory for the newest events; the oldest leave first.',
  },
  tailEventsMax: {
    variable: 'TIDEMARK_GATEWAY_TAIL_EVENTS_MAX',
    type: 'integer',
    default: 500_000,
    min: 1,
    unit: 'events',
    meaning: 'Most events in the tail; the oldest leave first.',
  },
  connectionsMax: {
    variable: 'TIDEMARK_GATEWAY_CONNECTIONS_MAX',
    type: 'integer',
    default: 100_000,
    min: 1,
    unit: 'connections',
    meaning: 'Most connections of one gateway; beyond it handshakes are refused with 429.',
  },
  connectionSecondsMax: {
    variable: 'TIDEMARK_GATEWAY_CONNECTION_SECONDS_MAX',
    type: 'integer',
    default: 0,
    min: 0,
    unit: 's',
    meaning: 'Longest life of a connection; each lasts for 80 to 100 % of it; 0 sets no limit.',
  },
  subscriptionsMax: {
    variable: 'TIDEMARK_GATEWAY_SUBSCRIPTIONS_MAX',
    type: 'integer',
    default: 100,
    min: 1,
    unit: 'subscriptions',
    meaning: 'Most subscriptions of one connection; a further one is refused.',
  },
  messageBytesMax: {
    variable: 'TIDEMARK_GATEWAY_MESSAGE_BYTES_MAX',
    type: 'integer',
    default: 512 * 1024,
    min: 1024,
    max: 16 * MIB,
    unit: 'bytes',
    meaning: 'Largest message of a WebSocket client; a larger one closes the connection with 1009.',
  },
  publishesMax: {
    variable: 'TIDEMARK_GATEWAY_PUBLISHES_MAX',
    type: 'integer',
    default: 64,
    min: 1,
    unit: 'events',
    meaning:
      'Events of one connection waiting for their acknowledgement; beyond it publish is refused.',
  },
  appendTimeoutMs: {
    variable: 'TIDEMARK_GATEWAY_APPEND_TIMEOUT_MS',
    type: 'integer',
    default: 1500,
    min: 100,
    max: 30_000,
    unit: 'ms',
    meaning: "How long a publish waits for the stream's acknowledgement.",
  },
  coldReadsMax: {
    variable: 'TIDEMARK_GATEWAY_COLD_READS_MAX',
    type: 'integer',
    default: 16,
    min: 1,
    max: 256,
    unit: 'reads',
    meaning: 'Most reads from stream and archive at the same time; further ones wait.',
  },
  coldReadTimeoutMs: {
    variable: 'TIDEMARK_GATEWAY_COLD_READ_TIMEOUT_MS',
    type: 'integer',
    default: 5000,
    min: 100,
    max: 60_000,
    unit: 'ms',
    meaning: 'How long one read from stream or archive may take before it is repeated.',
  },
  archiveWaitMs: {
    variable: 'TIDEMARK_GATEWAY_ARCHIVE_WAIT_MS',
    type: 'integer',
    default: 30_000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    meaning: 'How long a catch-up waits for an unreachable archive before it ends with an error.',
  },
  sseRetryMs: {
    variable: 'TIDEMARK_GATEWAY_SSE_RETRY_MS',
    type: 'integer',
    default: 2000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    meaning: 'The reconnection delay that the gateway sends to SSE clients.',
  },
  drainMs: {
    variable: 'TIDEMARK_GATEWAY_DRAIN_MS',
    type: 'integer',
    default: 2000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    meaning:
      'The time over which the gateway spreads the closing of its connections after SIGTERM.',
  },
} as const satisfies Table;

/** The relations between the settings of the gateway. */
export const gatewayRelations: readonly Relation<Values<typeof gateway>>[] = [
  ...commonRelations,
  {
    holds: ({ heartbeatMs, idleTimeoutMs }) => heartbeatMs * 2 < idleTimeoutMs,
    rule: 'TIDEMARK_GATEWAY_IDLE_TIMEOUT_MS must be more than twice TIDEMARK_GATEWAY_HEARTBEAT_MS',
  },
];

/** The settings of the stream. Replay owns it, and creates and updates it from these. */
export const stream = {
  streamMaxAgeSeconds: {
    variable: 'TIDEMARK_STREAM_MAX_AGE_SECONDS',
    type: 'integer',
    default: 7 * 24 * 3600,
    min: 0,
    unit: 's',
    meaning: 'Age at which events leave the stream (the archive keeps them); 0 keeps them.',
  },
  streamMaxBytes: {
    variable: 'TIDEMARK_STREAM_MAX_BYTES',
    type: 'integer',
    default: 0,
    min: 0,
    unit: 'bytes',
    meaning: 'Size above which the oldest events leave the stream; 0 sets no limit.',
  },
  streamReplicas: {
    variable: 'TIDEMARK_STREAM_REPLICAS',
    type: 'integer',
    default: 1,
    min: 1,
    max: 5,
    unit: 'servers',
    meaning: 'NATS servers that each event is stored on.',
  },
  streamDuplicateWindowSeconds: {
    variable: 'TIDEMARK_STREAM_DUPLICATE_WINDOW_SECONDS',
    type: 'integer',
    default: 600,
    min: 1,
    unit: 's',
    meaning: 'How long the stream recognises an event with the same `source` and `id`.',
  },
} as const satisfies Table;

/** The settings of replay, which owns the stream. */
export const replay = {
  ...common,
  ...stream,
  ...replayLimits,
  port: {
    variable: 'TIDEMARK_REPLAY_PORT',
    type: 'integer',
    default: SERVICE_PORTS.replay,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'HTTP port of replay; 0 picks a free one.',
  },
  adminPort: {
    variable: 'TIDEMARK_REPLAY_ADMIN_PORT',
    type: 'integer',
    default: 0,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'Admin port of replay, the only one with /metrics and /v1/admin; 0 opens none.',
  },
  databasePath: {
    variable: 'TIDEMARK_REPLAY_DATABASE',
    type: 'text',
    default: 'data/archive.db',
    meaning: 'SQLite file of the archive; replay rebuilds it from the stream if it is deleted.',
  },
  pageEventsMax: {
    variable: 'TIDEMARK_REPLAY_PAGE_EVENTS_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    max: 10_000,
    unit: 'events',
    meaning: 'Largest `limit` of a history page.',
  },
  projectionBatchMax: {
    variable: 'TIDEMARK_REPLAY_PROJECTION_BATCH_MAX',
    type: 'integer',
    default: 1000,
    min: 1,
    max: 100_000,
    unit: 'events',
    meaning: 'Most events that the projector writes in one transaction.',
  },
  drainMs: {
    variable: 'TIDEMARK_REPLAY_DRAIN_MS',
    type: 'integer',
    default: 5000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    meaning: 'How long running requests may take to finish after SIGTERM.',
  },
} as const satisfies Table;

/** The relations between the settings of replay. */
export const replayRelations: readonly Relation<Values<typeof replay>>[] = commonRelations;

/** The settings of the launcher behind `npm start` and `npm test`. */
export const launcher = {
  natsServerBinary: {
    variable: 'TIDEMARK_NATS_SERVER_BIN',
    type: 'text',
    default: '',
    meaning: 'The nats-server that `npm start` and `npm test` run.',
  },
  natsPort: {
    variable: 'TIDEMARK_NATS_PORT',
    type: 'integer',
    default: NATS_PORT,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'Port of the nats-server that `npm start` runs.',
  },
  jaegerBinary: {
    variable: 'TIDEMARK_JAEGER_BIN',
    type: 'text',
    default: '',
    meaning: 'The Jaeger v2 that `npm start` and `npm test` run to show traces.',
  },
  jaegerPort: {
    variable: 'TIDEMARK_JAEGER_PORT',
    type: 'integer',
    default: JAEGER_PORT,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'Port of the UI and the API of the Jaeger that `npm start` runs.',
  },
  dataFolder: {
    variable: 'TIDEMARK_DATA',
    type: 'text',
    default: DATA_FOLDER,
    meaning: 'Folder for the data of `npm start`: the stream, the archive and the secret.',
  },
  node: {
    variable: 'TIDEMARK_NODE',
    type: 'text',
    default: '',
    meaning:
      'With `system`, no Node is installed into the checkout where the Node of the system is too old.',
  },
} as const satisfies Table;

/** All tables, by the part that reads them. */
export const tables = { common, ingest, gateway, stream, replay, launcher } as const;

/** Every variable that any part accepts. */
export const knownVariables: ReadonlySet<string> = new Set(
  Object.values(tables)
    .flatMap((table: Table) => Object.values(table))
    .flatMap(({ variable, type }) =>
      type === 'secret' ? [variable, `${variable}_FILE`] : [variable],
    ),
);
