import { common } from './common-settings.ts';
import { SERVICE_PORTS } from './defaults.mjs';
import type { Relation, Table, Values } from './table.ts';

const KIB = 1024;

/** Room for the largest event, with what JSON and an array add to it. */
const BATCH_BYTES_MIN = 384 * KIB;

/** The settings of the relay of an outbox. It needs neither NATS nor the keys of tokens. */
export const relay = {
  host: common.host,
  logLevel: common.logLevel,
  auditPath: common.auditPath,
  allowedHosts: common.allowedHosts,
  trustedProxies: common.trustedProxies,
  metricsCacheMs: common.metricsCacheMs,
  port: {
    variable: 'TIDEMARK_RELAY_PORT',
    type: 'integer',
    default: 8083,
    min: 0,
    max: 65535,
    unit: 'port',
    meaning: 'HTTP port of health and metrics; 0 picks a free one.',
  },
  databaseUrl: {
    variable: 'TIDEMARK_RELAY_DATABASE_URL',
    type: 'secret',
    default: '',
    meaning:
      'Where the outbox is: `postgres://user:password@host/database`, or `sqlite:` and a path.',
  },
  table: {
    variable: 'TIDEMARK_RELAY_TABLE',
    type: 'text',
    default: 'tidemark_outbox',
    meaning: 'The table of the outbox; `schema.table` with PostgreSQL.',
  },
  ingestUrl: {
    variable: 'TIDEMARK_RELAY_INGEST_URL',
    type: 'text',
    default: `http://127.0.0.1:${SERVICE_PORTS.ingest}`,
    meaning: 'Where events are posted to.',
  },
  replayUrl: {
    variable: 'TIDEMARK_RELAY_REPLAY_URL',
    type: 'text',
    default: `http://127.0.0.1:${SERVICE_PORTS.replay}`,
    meaning: 'Where the relay looks up whether an event was stored.',
  },
  gatewayUrl: {
    variable: 'TIDEMARK_RELAY_GATEWAY_URL',
    type: 'text',
    default: `http://127.0.0.1:${SERVICE_PORTS.gateway}`,
    meaning: 'Where the relay asks for the end of the log before it looks up.',
  },
  token: {
    variable: 'TIDEMARK_RELAY_TOKEN',
    type: 'secret',
    default: '',
    meaning:
      'Token with `publish:` and `history:` for the topics of the outbox. Its file is read again when it changes; its `sub` must stay the same.',
  },
  tokenFile: {
    variable: 'TIDEMARK_RELAY_TOKEN_FILE',
    type: 'text',
    default: '',
    meaning: 'The file of the token.',
  },
  batchRows: {
    variable: 'TIDEMARK_RELAY_BATCH_ROWS',
    type: 'integer',
    default: 500,
    min: 1,
    max: 10_000,
    unit: 'rows',
    meaning: 'Most rows in one request; at most TIDEMARK_INGEST_BATCH_EVENTS_MAX of ingest.',
  },
  batchBytes: {
    variable: 'TIDEMARK_RELAY_BATCH_BYTES',
    type: 'integer',
    default: 512 * KIB,
    min: BATCH_BYTES_MIN,
    max: 64 * KIB * KIB,
    unit: 'bytes',
    meaning:
      'Most bytes of events in one request; less than TIDEMARK_INGEST_BODY_BYTES_MAX of ingest.',
  },
  pollMs: {
    variable: 'TIDEMARK_RELAY_POLL_MS',
    type: 'integer',
    default: 1000,
    min: 10,
    max: 60_000,
    unit: 'ms',
    meaning: 'How often the relay looks for rows of which nothing told it.',
  },
  requestTimeoutMs: {
    variable: 'TIDEMARK_RELAY_REQUEST_TIMEOUT_MS',
    type: 'integer',
    default: 15_000,
    min: 100,
    max: 60_000,
    unit: 'ms',
    meaning: 'How long a request to ingest, replay or a gateway may take.',
  },
  retryMsMax: {
    variable: 'TIDEMARK_RELAY_RETRY_MS_MAX',
    type: 'integer',
    default: 10_000,
    min: 10,
    max: 600_000,
    unit: 'ms',
    meaning: 'Longest pause before the next try, of all or of a topic; the first are shorter.',
  },
  recognisedSeconds: {
    variable: 'TIDEMARK_RELAY_RECOGNISED_SECONDS',
    type: 'integer',
    default: 60,
    min: 1,
    max: 86_400,
    unit: 's',
    meaning:
      'How long after its first attempt a row is sent again without a look-up, because the stream recognises it: at most a third of TIDEMARK_STREAM_DUPLICATE_WINDOW_SECONDS.',
  },
  lockSeconds: {
    variable: 'TIDEMARK_RELAY_LOCK_SECONDS',
    type: 'integer',
    default: 10,
    min: 1,
    max: 3600,
    unit: 's',
    meaning: 'How long PostgreSQL keeps the lock of a relay that hangs; then another takes over.',
  },
  drainMs: {
    variable: 'TIDEMARK_RELAY_DRAIN_MS',
    type: 'integer',
    default: 5000,
    min: 0,
    max: 600_000,
    unit: 'ms',
    meaning: 'How long the request under way may take to finish after SIGTERM.',
  },
} as const satisfies Table;

const URLS = ['ingestUrl', 'replayUrl', 'gatewayUrl'] as const;

/** The relations between the settings of the relay. */
export const relayRelations: readonly Relation<Values<typeof relay>>[] = [
  {
    holds: ({ databaseUrl }) => /^(?:postgres(?:ql)?:\/\/|sqlite:.)/.test(databaseUrl),
    rule: 'TIDEMARK_RELAY_DATABASE_URL must begin with postgres:// or sqlite:',
  },
  {
    holds: ({ token }) => token !== '',
    rule: 'TIDEMARK_RELAY_TOKEN or TIDEMARK_RELAY_TOKEN_FILE must be set',
  },
  ...URLS.map((name) => ({
    holds: (values: Values<typeof relay>) => isHttp(values[name]),
    rule: `${relay[name].variable} must be an http or https URL without credentials`,
  })),
  {
    holds: ({ requestTimeoutMs, recognisedSeconds }) => requestTimeoutMs <= recognisedSeconds * 500,
    rule: 'TIDEMARK_RELAY_RECOGNISED_SECONDS must be at least twice TIDEMARK_RELAY_REQUEST_TIMEOUT_MS',
  },
];

function isHttp(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password } = new URL(text);
  return /^https?:$/.test(protocol) && username === '' && password === '';
}
