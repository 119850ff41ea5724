import { HOST, JETSTREAM_API, NATS_PORT } from './defaults.mjs';
import { commonLimits, limitRelations } from './limit-settings.ts';
import type { Relation, Table, Values } from './table.ts';
import { tokens } from './token-settings.ts';

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
  natsApiPrefix: {
    variable: 'TIDEMARK_NATS_API_PREFIX',
    type: 'text',
    default: JETSTREAM_API,
    meaning:
      'What subjects of the JetStream API begin with; `tidemark.api` for ingest with `infra/nats/users.conf`.',
  },
  natsLenient: {
    variable: 'TIDEMARK_NATS_LENIENT',
    type: 'choice',
    default: 'refuse',
    choices: ['refuse', 'allow'],
    meaning:
      'A NATS whose JetStream ignores fields that it does not know: older than 2.12, or with `strict: false`.',
  },
  natsTlsCa: {
    variable: 'TIDEMARK_NATS_TLS_CA',
    type: 'text',
    default: '',
    meaning:
      'PEM file of the authority that signed the certificates of NATS; it makes TLS mandatory.',
  },
  recordSecret: {
    variable: 'TIDEMARK_RECORD_SECRET',
    type: 'secret',
    default: '',
    meaning:
      'Secret of all services, at least 32 bytes, that seals stored revocations and tickets; empty uses TIDEMARK_TOKEN_SECRET.',
  },
  recordOldSecrets: {
    variable: 'TIDEMARK_RECORD_OLD_SECRETS',
    type: 'secret',
    default: '',
    meaning: 'Older such secrets whose records still count, for a rotation; one per line.',
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
  auditPath: {
    variable: 'TIDEMARK_AUDIT_LOG',
    type: 'text',
    default: '',
    meaning:
      'File that lines about what operators do are appended to; empty puts them into the log, each with `audit`.',
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

/** The settings of the services that read archives: the gateway, and replay those of the others. */
export const archives = {
  archiveAbsenceSeconds: {
    variable: 'TIDEMARK_ARCHIVE_ABSENCE_SECONDS',
    type: 'integer',
    default: 300,
    min: 1,
    max: 86_400,
    unit: 's',
    meaning:
      'How long an archive that fell silent counts as holding its events: readers wait, and get no gap.',
  },
  atLeastWaitMs: {
    variable: 'TIDEMARK_AT_LEAST_WAIT_MS',
    type: 'integer',
    default: 5000,
    min: 0,
    max: 60_000,
    unit: 'ms',
    meaning: 'How long a request with `atLeast` waits until it can be answered; then 503.',
  },
  lastTopicsMax: {
    variable: 'TIDEMARK_LAST_TOPICS_MAX',
    type: 'integer',
    default: 10_000,
    min: 1,
    max: 100_000,
    unit: 'topics',
    meaning:
      'Most topics whose newest events one `after: "last"` asks for; with more it is refused. Gateway and replay need the same.',
  },
} as const satisfies Table;

const RECORD_SECRET_BYTES_MIN = 32;

/** The relations between the settings that all services have. */
export const commonRelations: readonly Relation<Values<typeof common>>[] = [
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
  {
    holds: ({ recordSecret }) =>
      recordSecret === '' ||
      new TextEncoder().encode(recordSecret).length >= RECORD_SECRET_BYTES_MIN,
    rule: `TIDEMARK_RECORD_SECRET needs at least ${RECORD_SECRET_BYTES_MIN} bytes`,
  },
];
