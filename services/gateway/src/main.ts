import { RevocationList } from '@tidemark/auth';
import { readGatewayConfiguration, tables } from '@tidemark/config';
import {
  acceptTickets,
  configureAuthentication,
  createApps,
  HttpServer,
  Limits,
  listenForOperators,
  parseOrigins,
  parseProxies,
  runService,
} from '@tidemark/http';
import {
  Appender,
  connectNats,
  type Feed,
  type NatsLink,
  TicketStore,
  toLinkOptions,
} from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import { Metrics } from '@tidemark/telemetry';
import { administrationEndpoints } from './administration/endpoints.ts';
import { enforce } from './administration/enforcement.ts';
import { Admission } from './admission.ts';
import { Registry } from './connections/registry.ts';
import { Counts } from './counts.ts';
import { LOW_WATER_BYTES } from './fan-out/chunks.ts';
import type { Gateway } from './gateway.ts';
import { Log } from './log/log.ts';
import { exposeMetrics } from './metrics.ts';
import { Receipts } from './reports/receipts.ts';
import { Reports } from './reports/reports.ts';
import { realScheduler } from './scheduler.ts';
import { redeemFrom, ticketEndpoint } from './tickets.ts';
import { ArchiveReader } from './tiers/archive-tier.ts';
import { follow } from './tiers/feed.ts';
import { StreamReader } from './tiers/stream-tier.ts';
import { sseEndpoint } from './transports/sse-endpoint.ts';
import { serveWebSockets } from './transports/web-socket-endpoint.ts';

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
    let link: NatsLink | undefined;
    const tiers = {
      nats: () => link ?? notReached(),
      timeoutMs: configuration.coldReadTimeoutMs,
    };
    const log = new Log({
      stream: new StreamReader(tiers),
      archive: new ArchiveReader(tiers),
      scheduler: realScheduler,
      counts: new Counts(),
      tail: { bytesMax: configuration.tailBytesMax, eventsMax: configuration.tailEventsMax },
      coldReadsMax: configuration.coldReadsMax,
      coldWaitMs: configuration.archiveWaitMs,
    });
    const registry = new Registry({
      ...configuration,
      scheduler: realScheduler,
      turns: log.turns,
      wallMs: Date.now,
    });
    const limits = new Limits(metrics);
    const admission = new Admission({
      ...configuration,
      registry,
      limits,
      proxies: parseProxies(configuration.trustedProxies),
    });
    const origins = parseOrigins(configuration.allowedOrigins);
    const tickets = () =>
      new TicketStore(tiers.nats(), { timeoutMs: configuration.appendTimeoutMs });
    const authenticate = configureAuthentication(configuration, {
      log: logger,
      revocations,
      origins,
    });
    let appender: Appender | undefined;
    let feed: Feed | undefined;
    const gateway: Gateway = {
      log,
      logger,
      registry,
      authenticate,
      authenticateConnection: admission.guard(
        acceptTickets(authenticate, { redeem: redeemFrom(tickets), revocations }),
      ),
      admission,
      limits,
      publishes: limits.rate('publishes_per_second', {
        max: configuration.publishesPerSecondMax,
        of: 'events of one user',
      }),
      catchUps: limits.places('catch_ups_per_user', {
        max: configuration.catchUpsPerUserMax,
        of: 'catch-ups of this user',
      }),
      origins,
      reports: new Reports({ logger, metrics, tracer }),
      appender: () => appender,
    };
    exposeMetrics(metrics, log, registry);

    const { app, operations } = createApps(
      {
        log: logger,
        metrics,
        tracer,
        authenticate,
        origins,
        limits,
        checks: {
          feed: () => feed?.reading ?? false,
          open: () => !registry.closing,
          revocations: () => revocations.isComplete,
        },
        endpoints: [
          sseEndpoint(gateway, { retryMs: configuration.sseRetryMs }),
          { ...ticketEndpoint(tickets), authenticate: admission.guard(authenticate) },
        ],
        operations: administrationEndpoints({
          log: logger,
          nats: tiers.nats,
          timeoutMs: configuration.appendTimeoutMs,
        }),
      },
      configuration,
    );
    const http = new HttpServer(app, logger, {
      ...configuration,
      socketBufferBytes: LOW_WATER_BYTES,
      socketsMax: configuration.connectionsMax + SOCKETS_RESERVE,
      limits,
    });
    serveWebSockets(http.server, gateway, configuration);
    onStop(() => registry.drain(configuration.drainMs));
    onStop(() => http.stop(configuration.drainMs));
    await http.listen({ host, port });
    const operators = await listenForOperators(operations, configuration, logger);
    onStop(() => operators.stop());

    link = await connectNats({
      ...toLinkOptions(configuration),
      name: 'tidemark-gateway',
      log: logger,
      signal,
    });
    appender = new Appender(link, {
      timeoutMs: configuration.appendTimeoutMs,
      pendingMax: configuration.connectionsMax,
    });
    feed = follow(link, { log, logger, receipts: new Receipts({ tracer }) });
    const enforcement = enforce({ link, log: logger, registry, revocations });
    onStop(() => {
      feed?.stop();
      enforcement.stop();
    });
    onStop(() => link?.close());
  },
});

function notReached(): never {
  throw new TidemarkError('unavailable', 'NATS has not been reached yet.');
}
