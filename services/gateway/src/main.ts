import { type GatewayConfiguration, readGatewayConfiguration, tables } from '@tidemark/config';
import {
  ArchiveClient,
  ArchiveDirectory,
  BulletinBoard,
  EventAppender,
  type Feed,
  followArchives,
  followBulletins,
  GATEWAY_ANSWER_MS,
  type Scheduler,
  serveGateways,
} from '@tidemark/nats';
import {
  createHttpFront,
  createParts,
  eventsChannel,
  type HttpFront,
  runService,
  type ServiceParts,
  VERSION,
} from '@tidemark/service';
import { type Access, openAccess } from './access/access.ts';
import { enforce } from './access/admin/enforcement.ts';
import { meEndpoint } from './access/me-endpoint.ts';
import { ConnectionWalks } from './connections/connection-walks.ts';
import { Registry } from './connections/registry.ts';
import { createCore } from './core.ts';
import { LOW_WATER_BYTES } from './fan-out/batch.ts';
import { publishFigures } from './observability/figures.ts';
import { exposeMetrics } from './observability/metrics.ts';
import { DeliveryTraces } from './observability/reports/delivery-traces.ts';
import { Reports } from './observability/reports/reports.ts';
import { configurationOfOne, partOf, processCount } from './processes.ts';
import { systemClock } from './scheduling/clock.ts';
import { ArchiveReader } from './sources/archive-reader.ts';
import { startFeed } from './sources/feed.ts';
import { LogHead, SEARCHES_MAX } from './sources/log-head.ts';
import { StreamReader } from './sources/stream-reader.ts';
import { clientFiles } from './transports/client-files.ts';
import { consolePages } from './transports/console-pages.ts';
import type { Gateway } from './transports/gateway.ts';
import { headEndpoint } from './transports/head-endpoint.ts';
import { MessageBytes } from './transports/message-bytes.ts';
import { sseChannel } from './transports/sse/descriptions.ts';
import { sseEndpoint } from './transports/sse/endpoint.ts';
import { webSocketChannel } from './transports/websocket/channel.ts';
import { serveWebSockets } from './transports/websocket/endpoint.ts';

/** Sockets in addition to those of connections: for handshakes, tickets and admin requests. */
const SOCKETS_RESERVE = 1000;

runService({
  name: 'gateway',
  settings: tables.gateway,
  configure: readGatewayConfiguration,
  processes: (configuration) => ({
    count: processCount(configuration),
    addresses: [
      { host: configuration.host, port: configuration.port },
      { host: configuration.adminHost, port: configuration.adminPort },
    ].filter(({ port }) => port !== 0),
  }),
  async start(whole, lifetime) {
    const { siblings } = lifetime;
    const configuration = configurationOfOne(whole, siblings.count);
    const connectionsPart = partOf(configuration.connectionsMax, siblings.count);
    const parts = createParts('gateway', configuration, lifetime);
    const { logger, metrics, tracer, link, signal, onStop } = parts;
    const log = openLog(configuration, parts);
    const { core, directory } = log;
    const registry = new Registry({
      ...configuration,
      ...core,
      wallMs: Date.now,
      others: siblings,
    });
    const board = new BulletinBoard();
    const access = openAccess(configuration, { ...parts, registry, board });
    const reports = new Reports(parts);
    const gateway: Gateway = {
      core,
      logger,
      registry,
      messageBytes: new MessageBytes(configuration.messageBytesPerSecondMax, siblings),
      ...access,
      reports,
      appender: new EventAppender(link, {
        service: 'gateway',
        timeoutMs: configuration.appendTimeoutMs,
        pendingMax: connectionsPart,
        ...parts,
      }),
    };
    access.limits.showHeld(() => core.patternBudget.held);
    exposeMetrics(metrics, core, registry);
    metrics.total(
      'gateway_bulletins_ignored_total',
      'Messages about the figures of services that were none, or too many.',
      () => board.ignored,
    );
    metrics.gauge('gateway_archives', 'Archives that can be asked now.', () => directory.available);

    let feed: Feed | undefined;
    const isReading = () => feed?.reading ?? false;
    const front = createFront(gateway, { configuration, parts, log, access, isReading });
    serveWebSockets(front.http, gateway, configuration);
    const figures = publishFigures(parts, { core, registry, reports, board, ready: front.ready });
    onStop(() => registry.drain(configuration.drainMs));
    await front.listen();

    await link.connect(signal);
    const deliveryTraces = new DeliveryTraces({ tracer });
    feed = startFeed(link, {
      ...core,
      logger,
      signal,
      openTrace: (record, epoch) => deliveryTraces.openTrace(record, epoch),
    });
    const followed = followArchives(link, { directory, logger });
    const enforcement = enforce({ ...parts, registry });
    const walks = new ConnectionWalks({
      ...{ registry, gateway: parts.instance, timeoutMs: GATEWAY_ANSWER_MS },
      ...core,
    });
    serveGateways(link, (request, send) => walks.answer(request, send), logger);
    const bulletins = followBulletins(link, { board, logger, own: parts.instance });
    onStop(() => {
      figures.stop();
      bulletins.stop();
      feed?.stop();
      enforcement.stop();
      followed.stop();
    });
    onStop(() => link.close());
  },
});

/** The log as one gateway sees it, and the tiers that it is read from. */
function openLog(configuration: GatewayConfiguration, parts: ServiceParts) {
  const { link, limits, siblings } = parts;
  const tiers = { link, timeoutMs: configuration.coldReadTimeoutMs };
  const directory = new ArchiveDirectory({ absenceMs: configuration.archiveAbsenceSeconds * 1000 });
  const scheduler: Scheduler = {
    nowMs: () => systemClock.nowMs(),
    schedule: (backlog) => core.tasks.schedule(backlog),
  };
  const stream = new StreamReader({ ...tiers, scheduler });
  const archives = new ArchiveClient({ ...tiers, directory });
  const core = createCore({
    stream,
    archive: new ArchiveReader(archives),
    clock: systemClock,
    tail: { bytesMax: configuration.tailBytesMax, eventsMax: configuration.tailEventsMax },
    coldReadsMax: configuration.coldReadsMax,
    coldWaitMs: configuration.archiveWaitMs,
    patterns: configuration,
    others: siblings,
    lastTopicsMax: configuration.lastTopicsMax,
    atLeastWaitMs: configuration.atLeastWaitMs,
    lastBytes: limits.budget('last_bytes', {
      max: configuration.lastBytesMax,
      of: 'bytes for lists of last events',
    }),
  });
  return { core, stream, archives, directory };
}

interface FrontParts {
  readonly configuration: GatewayConfiguration;
  readonly parts: ServiceParts;
  readonly log: Pick<ReturnType<typeof openLog>, 'stream' | 'archives'>;
  readonly access: Access;
  /** Whether the feed reads the stream. */
  readonly isReading: () => boolean;
}

/** What the gateway serves over HTTP, and where it listens. */
function createFront(
  gateway: Gateway,
  { configuration, parts, log, access, isReading }: FrontParts,
): HttpFront {
  const { logger, siblings } = parts;
  const { core, registry } = gateway;
  const { connectionsMax, connectionsPerAddressMax } = configuration;
  const server = {
    ...configuration,
    socketBufferBytes: LOW_WATER_BYTES,
    socketsMax: partOf(connectionsMax, siblings.count) + SOCKETS_RESERVE,
    socketsPerAddressMax: partOf(connectionsPerAddressMax, siblings.count) + SOCKETS_RESERVE,
  };
  const head = new LogHead({
    stream: log.stream,
    archive: log.archives,
    clock: systemClock,
    searches: access.limits.budget('head_searches', {
      max: SEARCHES_MAX,
      of: 'searches for the newest event of topics',
    }),
  });
  return createHttpFront(parts, server, {
    endpoints: [
      sseEndpoint(gateway, { retryMs: configuration.sseRetryMs }),
      headEndpoint(head, access.admission.guard(access.authenticate)),
      access.ticketEndpoint,
    ],
    adminEndpoints: access.adminEndpoints,
    commonEndpoints: [meEndpoint],
    pages: clientFiles(logger),
    adminPages: consolePages(configuration, VERSION),
    channels: [webSocketChannel, sseChannel, eventsChannel({ receives: true, sends: true })],
    checks: {
      feed: isReading,
      tail: () => core.tailFill.settled,
      open: () => !registry.closing,
    },
  });
}
