import { archives, common, commonRelations } from './common-settings.ts';
import { SERVICE_PORTS } from './defaults.mjs';
import { gatewayLimits } from './limit-settings.ts';
import type { Relation, Table, Values } from './table.ts';

const MIB = 1024 * 1024;

/** The settings of the gateway. */
export const gateway = {
  ...common,
  ...archives,
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
  processes: {
    variable: 'TIDEMARK_GATEWAY_PROCESSES',
    type: 'text',
    default: '1',
    meaning:
      'How many processes share the ports of the gateway: 1 to 64, or `auto` for one on each core that it may use. Limits hold for all of them together; each reads all of the stream.',
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
    meaning:
      'Memory for the newest events; the oldest leave first. Processes divide it, and each keeps all events of its part.',
  },
  tailEventsMax: {
    variable: 'TIDEMARK_GATEWAY_TAIL_EVENTS_MAX',
    type: 'integer',
    default: 500_000,
    min: 1,
    unit: 'events',
    meaning: 'Most events in the tail; the oldest leave first. Processes divide it.',
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
    meaning:
      'Most reads from archives at the same time, half of them for one user; further ones wait. Processes divide them. The stream is scanned for all who wait.',
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
  jaegerUrl: {
    variable: 'TIDEMARK_GATEWAY_JAEGER_URL',
    type: 'text',
    default: '',
    meaning:
      'Address of the query API of a Jaeger, such as http://jaeger:16686, for GET /v1/admin/traces; empty: none.',
  },
  jaegerPage: {
    variable: 'TIDEMARK_GATEWAY_JAEGER_PAGE',
    type: 'text',
    default: '',
    meaning:
      'What the address of a trace has before its id, for people, such as https://jaeger.example/trace; empty: none.',
  },
  console: {
    variable: 'TIDEMARK_GATEWAY_CONSOLE',
    type: 'choice',
    default: 'on',
    choices: ['on', 'off'],
    meaning: 'Whether the gateway serves the console at /console/, beside /v1/admin.',
  },
  consoleUrl: {
    variable: 'TIDEMARK_GATEWAY_CONSOLE_URL',
    type: 'text',
    default: '',
    meaning:
      "Address at which the console's page reaches a gateway for events; empty: where the page is from.",
  },
  consoleReplayUrl: {
    variable: 'TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL',
    type: 'text',
    default: '',
    meaning:
      "Address at which the console's page reaches replay; empty: where the page is from, as behind nginx.",
  },
} as const satisfies Table;

const URLS = [
  ['jaegerUrl', 'TIDEMARK_GATEWAY_JAEGER_URL'],
  ['jaegerPage', 'TIDEMARK_GATEWAY_JAEGER_PAGE'],
  ['consoleUrl', 'TIDEMARK_GATEWAY_CONSOLE_URL'],
  ['consoleReplayUrl', 'TIDEMARK_GATEWAY_CONSOLE_REPLAY_URL'],
] as const;

/** Credentials in an address would be shown to whoever reads it. */
function isUrl(text: string): boolean {
  if (text === '') return true;
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}

/** `auto`, or 1 to 64. */
function isProcesses(text: string): boolean {
  return text === 'auto' || /^([1-9]|[1-5]\d|6[0-4])$/.test(text);
}

/** The relations between the settings of the gateway. */
export const gatewayRelations: readonly Relation<Values<typeof gateway>>[] = [
  ...commonRelations,
  {
    holds: ({ processes }) => isProcesses(processes),
    rule: 'TIDEMARK_GATEWAY_PROCESSES must be `auto` or a whole number from 1 to 64',
  },
  {
    holds: ({ heartbeatMs, idleTimeoutMs }) => heartbeatMs * 2 < idleTimeoutMs,
    rule: 'TIDEMARK_GATEWAY_IDLE_TIMEOUT_MS must be more than twice TIDEMARK_GATEWAY_HEARTBEAT_MS',
  },
  ...URLS.map(([name, variable]) => ({
    holds: (values: Values<typeof gateway>) => isUrl(values[name]),
    rule: `${variable} must be an http or https address without a user and a password`,
  })),
];
