/** A part of the repository, and what it may import. ARCHITECTURE.md shows these as its table. */
export interface Part {
  /** What is in it, in Markdown. */
  readonly contents: string;
  /** The libraries of `libs/` that it may import; `all` for a part above every library. */
  readonly libs: readonly string[] | 'all';
  /** Further libraries of which it may import types alone, so that none of their code is in it. */
  readonly types?: readonly string[];
  /** The packages from outside that it may import. */
  readonly packages: readonly string[];
}

/** Every library and service, the command line and the console. No part may import a service. */
export const PARTS: Readonly<Record<string, Part>> = {
  'libs/protocol': {
    contents: 'the contract: topics, cursors, events, messages, error codes. No I/O. `PROTOCOL.md`',
    libs: [],
    packages: ['zod'],
  },
  'libs/config': {
    contents: 'every setting of every process, one table each',
    libs: [],
    packages: [],
  },
  'libs/fairness': {
    contents: 'queues and permits that users share fairly',
    libs: [],
    packages: [],
  },
  'libs/telemetry': {
    contents: 'logger, metrics, traces',
    libs: ['protocol'],
    packages: [
      '@opentelemetry/api',
      '@opentelemetry/resources',
      '@opentelemetry/sdk-node',
      'pino',
      'prom-client',
    ],
  },
  'libs/auth': {
    contents: 'tokens and permissions',
    libs: ['protocol', 'config'],
    packages: ['jose', 'zod'],
  },
  'libs/nats': {
    contents: 'the stream as configuration, appends, the feed, archive reads',
    libs: ['protocol', 'config', 'fairness', 'telemetry'],
    packages: ['@nats-io/transport-node', '@nats-io/jetstream', '@nats-io/kv'],
  },
  'libs/http': {
    contents:
      'application, server, authentication, limits, errors, health; `contract` makes the documents',
    libs: ['protocol', 'config', 'fairness', 'telemetry', 'auth'],
    packages: ['express', 'zod'],
  },
  'libs/service': {
    contents: 'the life of a service process, and what every service is built from',
    libs: ['protocol', 'config', 'telemetry', 'auth', 'nats', 'http'],
    packages: ['zod'],
  },
  'libs/client': {
    contents: 'the client library for browsers, Node and React Native, without a dependency',
    libs: [],
    packages: ['react'],
  },
  'libs/publisher': {
    contents: 'the library for services that publish; entry points `nats`, `express` and `outbox`',
    libs: ['protocol'],
    packages: ['@opentelemetry/api', '@nats-io/transport-node', '@nats-io/jetstream', 'express'],
  },
  'services/ingest': { contents: 'HTTP to the stream', libs: 'all', packages: ['zod'] },
  'services/gateway': { contents: 'the stream to clients', libs: 'all', packages: ['ws', 'zod'] },
  'services/replay': {
    contents: 'the stream to SQLite, history, the archive',
    libs: 'all',
    packages: ['better-sqlite3', 'zod'],
  },
  'services/relay': {
    contents: 'rows of an outbox, in PostgreSQL or SQLite, to ingest',
    libs: 'all',
    packages: ['better-sqlite3', 'pg'],
  },
  cli: {
    contents: 'the command line `tidemark`; it loads programs of `infra` where it needs them',
    libs: ['protocol', 'config', 'auth', 'nats', 'client'],
    packages: ['commander', 'tar'],
  },
  console: {
    contents: 'the page for operators and developers that a gateway serves at `/console/`',
    libs: ['client'],
    types: ['protocol'],
    packages: ['preact', '@preact/signals', 'uplot'],
  },
};

/** The programs of `infra`, which use the libraries only once these are built. */
export const INFRA: Part = {
  contents:
    'configuration of what runs beside the services, the images, the launcher behind `npm start`, backups',
  libs: ['protocol', 'config', 'auth', 'nats'],
  packages: ['@nats-io/transport-node', 'better-sqlite3', 'playwright-core'],
};

/** The programs of `examples`, which take settings and tokens from `infra/launcher`. */
export const EXAMPLES: Part = {
  contents: 'programs that show how to use the services, one folder each; the tests run them',
  libs: ['publisher'],
  packages: ['better-sqlite3', 'express', 'pg', 'ws'],
};

/** What is in `test`, which may import everything. */
export const TESTS =
  'tests that span several parts; `runner` is `npm test`, `chaos` is `npm run test:chaos`';

/** The layers of a part, lowest first: a folder imports only those before it. */
export const LAYERS: Readonly<Record<string, readonly string[]>> = {
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
    'filling',
    'serving',
    'history',
    'inbox',
    'erasing',
    'rebuilding',
  ],
  'services/relay': ['outbox', 'requests', 'rounds'],
  cli: [
    'base',
    'output',
    'input',
    'profile',
    'http',
    'publishing',
    'load',
    'backups',
    'events',
    'session',
    'doctor',
    'commands',
  ],
  console: ['api', 'ui', 'events', 'pages', 'app'],
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
