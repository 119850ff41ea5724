import { common, commonRelations } from './common-settings.ts';
import { SERVICE_PORTS } from './defaults.mjs';
import { ingestLimits } from './limit-settings.ts';
import type { Relation, Table, Values } from './table.ts';

const MIB = 1024 * 1024;

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
  webhookOrigins: {
    variable: 'TIDEMARK_INGEST_WEBHOOK_ORIGINS',
    type: 'text',
    default: '*',
    meaning:
      'Senders that the CloudEvents webhook handshake allows, separated by commas; `*` allows any, who still need a token.',
  },
  webhookRate: {
    variable: 'TIDEMARK_INGEST_WEBHOOK_RATE',
    type: 'integer',
    default: 0,
    min: 0,
    unit: 'requests per minute',
    meaning: 'Rate that the handshake allows a sender of webhooks; 0 tells it no limit.',
  },
  hooksFile: {
    variable: 'TIDEMARK_INGEST_HOOKS',
    type: 'text',
    default: '',
    meaning:
      'JSON file of the raw webhooks that `/v1/hooks/<name>` takes (PROTOCOL.md section 10.2); absent: none.',
  },
  appendTimeoutMs: {
    variable: 'TIDEMARK_INGEST_APPEND_TIMEOUT_MS',
    type: 'integer',
    default: 1500,
    min: 100,
    max: 30_000,
    unit: 'ms',
    meaning:
      "How long a request may wait for its turn and for the stream's acknowledgement before the answer is 503; for its turn two thirds of it.",
  },
  appendsMax: {
    variable: 'TIDEMARK_INGEST_APPENDS_MAX',
    type: 'integer',
    default: 20_000,
    min: 1,
    unit: 'events',
    meaning:
      'Most events waiting for their turn or their acknowledgement; beyond it requests get 429.',
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
    // A compressed body is in memory twice.
    holds: ({ bodyBytesMax, bodiesBytesPerUserMax }) => 2 * bodyBytesMax <= bodiesBytesPerUserMax,
    rule: 'TIDEMARK_INGEST_BODIES_BYTES_PER_USER_MAX must be at least twice TIDEMARK_INGEST_BODY_BYTES_MAX',
  },
  {
    // One user alone gets half of it.
    holds: ({ bodyBytesMax, bodiesBytesMax }) => 4 * bodyBytesMax <= bodiesBytesMax,
    rule: 'TIDEMARK_INGEST_BODIES_BYTES_MAX must be at least four times TIDEMARK_INGEST_BODY_BYTES_MAX',
  },
  {
    holds: ({ bodyBytesMax, bodyBytesPerSecondMax }) => bodyBytesMax <= bodyBytesPerSecondMax,
    rule: 'TIDEMARK_INGEST_BODY_BYTES_PER_SECOND_MAX must be at least TIDEMARK_INGEST_BODY_BYTES_MAX',
  },
  {
    holds: ({ batchEventsMax, appendsMax }) => batchEventsMax <= appendsMax,
    rule: 'TIDEMARK_INGEST_APPENDS_MAX must be at least TIDEMARK_INGEST_BATCH_EVENTS_MAX',
  },
];
