import { archives, common, commonRelations } from './common-settings.ts';
import { SERVICE_PORTS } from './defaults.mjs';
import { replayLimits } from './limit-settings.ts';
import type { Relation, Table, Values } from './table.ts';

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
  ...archives,
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
    meaning:
      'SQLite file of the archive. It alone has the events that left the stream, unless another replay has.',
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
  tombstoneTypes: {
    variable: 'TIDEMARK_TOMBSTONE_TYPES',
    type: 'text',
    default: '',
    meaning:
      'Types of events, separated by commas, with `*` at the end for any rest. A topic whose newest event has such a type and no data is left out of `after: "last"`.',
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
  inboxTopics: {
    variable: 'TIDEMARK_REPLAY_INBOX_TOPICS',
    type: 'text',
    default: 'user.{sub}.>',
    meaning:
      'Patterns of the topics whose events are items of the inbox of each user, separated by spaces; `{sub}` is the user as one topic token. Empty: only what users follow.',
  },
  inboxKeepSeconds: {
    variable: 'TIDEMARK_REPLAY_INBOX_KEEP_SECONDS',
    type: 'integer',
    default: 60,
    min: 1,
    max: 86_400,
    unit: 's',
    meaning:
      'Time between two looks at inboxes whose state the stream will remove before long; it is stored again.',
  },
  appendTimeoutMs: {
    variable: 'TIDEMARK_REPLAY_APPEND_TIMEOUT_MS',
    type: 'integer',
    default: 1500,
    min: 100,
    max: 30_000,
    unit: 'ms',
    meaning: 'How long a change of an inbox waits for the stream before it is answered with 503.',
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
