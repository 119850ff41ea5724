import { RevocationList } from '@tidemark/auth';
import { readGatewayConfiguration, tables } from '@tidemark/config';
import {
  ConnectionLimiter,
  createApps,
  HttpServer,
  Limits,
  listenForOperators,
  runService,
} from '@tidemark/http';
import { EventAppender, type Feed, NatsLink, toLinkOptions } from '@tidemark/nats';
import { Metrics } from '@tidemark/telemetry';
import { openAccess } from './access/access.ts';
import { enforce } from './access/admin/enforcement.ts';
import { Registry } from './connections/registry.ts';
import { createCore } from './core.ts';
import { LOW_WATER_BYTES } from './fan-out/batch.ts';
import { exposeMetrics } from './observability/metrics.ts';
import { DeliveryTraces } from './observability/reports/delivery-traces.ts';
import { Reports } from './observability/reports/reports.ts';
import { systemClock } from './scheduling/clock.ts';
import { ArchiveReader } from './sources/archive-reader.ts';
import { startFeed } from './sources/feed.ts';
import { StreamReader } from './sources/stream-reader.ts';
import type { Gateway } from './transports/gateway.ts';
import { sseEndpoint } from './transports/sse/endpoint.ts';
import { serveWebSockets } from './transports/websocket/endpoint.ts';

/** Sockets beside those of connections: handshakes, tickets, and what operators ask. */
const SOCKETS_RESERVE = 1000;

runService({
  name: 'gateway',
  settings: tables.gateway,
  configure: readGatewayConfiguration,
  async start(configuration, { log: logger, tracer, signal, onStop }) {
    const { host, port } = configuration;
    const metrics = new Metrics('gateway');
    const revocations = new RevocationList(configuration);
    const link = new NatsLink({
      ...toLinkOptions(configuration),
      name: 'tidemark-gateway',
      logger,
    });
    const tiers = { link, timeoutMs: configuration.coldReadTimeoutMs };
    const core = createCore({
      stream: new StreamReader(tiers),
      archive: new ArchiveReader(tiers),
      clock: systemClock,
      tail: { bytesMax: configuration.tailBytesMax, eventsMax: configuration.tailEventsMax },
      coldReadsMax: configuration.coldReadsMax,
      coldWaitMs: configuration.archiveWaitMs,
    });
    const { clock, tasks, counters } = core;
    const registry = new Registry({
      ...configuration,
      clock,
      tasks,
      counters,
      wallMs: Date.now,
    });
    const limits = new Limits(metrics);
    const access = openAccess(configuration, {
      log: logger,
      link,
      revocations,
      registry,
      limits,
    });
    let feed: Feed | undefined;
    const gateway: Gateway = {
      core,
      logger,
      registry,
      ...access,
      reports: new Reports({ logger, metrics, tracer }),
      appender: new EventAppender(link, {
        service: 'gateway',
        timeoutMs: configuration.appendTimeoutMs,
        pendingMax: configuration.connectionsMax,
        logger,
        metrics,
        tracer,
        signal,
      }),
    };
    exposeMetrics(metrics, core, registry);

    const { app, operations } = createApps(
      {
        log: logger,
        metrics,
        tracer,
        ...access,
        checks: {
          feed: () => feed?.reading ?? false,
          open: () => !registry.closing,
          revocations: () => revocations.isComplete,
        },
        endpoints: [
          sseEndpoint(gateway, { retryMs: configuration.sseRetryMs }),
          access.ticketEndpoint,
        ],
        operations: access.administrationEndpoints,
      },
      configuration,
    );
    const http = new HttpServer(app, logger, {
      ...configuration,
      socketBufferBytes: LOW_WATER_BYTES,
      socketsMax: configuration.connectionsMax + SOCKETS_RESERVE,
      limits,
      connectionLimiter: new ConnectionLimiter({
        socketsPerAddressMax: configuration.connectionsPerAddressMax + SOCKETS_RESERVE,
        trustedProxies: configuration.trustedProxies,
        limits,
      }),
    });
    serveWebSockets(http.server, gateway, configuration);
    onStop(() => registry.drain(configuration.drainMs));
    onStop(() => http.stop(configuration.drainMs));
    await http.listen({ host, port });
    const operators = await listenForOperators(operations, configuration, logger);
    onStop(() => operators.stop());

    await link.connect(signal);
    const deliveryTraces = new DeliveryTraces({ tracer });
    feed = startFeed(link, {
      ...core,
      logger,
      openTrace: (record, epoch) => deliveryTraces.openTrace(record, epoch),
    });
    const enforcement = enforce({ link, log: logger, registry, revocations });
    onStop(() => {
      feed?.stop();
      enforcement.stop();
    });
    onStop(() => link.close());
  },
});
