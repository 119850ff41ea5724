/** Every part, and the packages from outside that it alone may import. */
export const PARTS: Readonly<Record<string, readonly string[]>> = {
  'libs/protocol': ['zod'],
  'libs/config': [],
  'libs/telemetry': ['@opentelemetry/api', '@opentelemetry/sdk-node', 'pino', 'prom-client'],
  'libs/auth': ['jose', 'zod'],
  'libs/nats': ['@nats-io/transport-node', '@nats-io/jetstream', '@nats-io/kv'],
  'libs/http': ['express', 'rate-limiter-flexible'],
  'libs/service': [],
  'services/ingest': ['zod'],
  'services/gateway': ['ws'],
  'services/replay': ['better-sqlite3', 'zod'],
};

/** The floors of a part, lowest first: a folder imports only those before it. */
export const FLOORS: Readonly<Record<string, readonly string[]>> = {
  'services/gateway': [
    'counters',
    'scheduling',
    'log',
    'sources',
    'fan-out',
    'connections',
    'access',
    'observability',
    'transports',
  ],
  'services/replay': [
    'sqlite',
    'selection',
    'archive',
    'projector',
    'stream',
    'serving',
    'history',
  ],
};

/** The hot path has no `await`, and imports only protocol and small structures. */
export const HOT_PATH: readonly string[] = [
  'services/gateway/src/log/tail.ts',
  'services/gateway/src/log/event-entry.ts',
  'services/gateway/src/log/entry-queue.ts',
  'services/gateway/src/fan-out/hub.ts',
  'services/gateway/src/fan-out/subscriber-group.ts',
  'services/gateway/src/scheduling/task-scheduler.ts',
];
