import { RevocationList } from '@tidemark/auth';
import { readIngestConfiguration, tables } from '@tidemark/config';
import {
  ConnectionLimiter,
  configureAuthentication,
  confirmWith,
  createApps,
  HttpServer,
  Limits,
  listenForOperators,
  parseOrigins,
  runService,
} from '@tidemark/http';
import { EventAppender, followRevocations, NatsLink, toLinkOptions } from '@tidemark/nats';
import { Metrics } from '@tidemark/telemetry';
import { Appends } from './appends.ts';
import { eventsEndpoint } from './events-endpoint.ts';

runService({
  name: 'ingest',
  settings: tables.ingest,
  configure: readIngestConfiguration,
  async start(configuration, { log, tracer, signal, onStop }) {
    const { host, port } = configuration;
    const metrics = new Metrics('ingest');
    const limits = new Limits(metrics);
    const revocations = new RevocationList(configuration);
    const link = new NatsLink({
      ...toLinkOptions(configuration),
      name: 'tidemark-ingest',
      logger: log,
    });
    const appender = new EventAppender(link, {
      service: 'ingest',
      timeoutMs: configuration.appendTimeoutMs,
      pendingMax: configuration.appendsMax,
      logger: log,
      metrics,
      tracer,
      signal,
    });
    const origins = parseOrigins(configuration.allowedOrigins);
    const { app, operations } = createApps(
      {
        log,
        metrics,
        tracer,
        authenticate: configureAuthentication(configuration, {
          log,
          revocations,
          origins,
          limits,
        }),
        origins,
        limits,
        checks: {
          nats: () => link.connected,
          stream: () => appender.streamKnown,
          revocations: () => revocations.isComplete,
        },
        endpoints: [
          eventsEndpoint({
            ...configuration,
            appends: new Appends(appender, metrics),
            metrics,
            tracer,
            limits,
            confirm: confirmWith(revocations),
          }),
        ],
      },
      configuration,
    );

    // The port answers before NATS does, so that whoever publishes gets 503 and not silence.
    const http = new HttpServer(app, log, {
      ...configuration,
      limits,
      connectionLimiter: new ConnectionLimiter({ ...configuration, limits }),
    });
    onStop(() => http.stop(configuration.drainMs));
    await http.listen({ host, port });
    const operators = await listenForOperators(operations, configuration, log);
    onStop(() => operators.stop());

    await link.connect(signal);
    const following = followRevocations(link, revocations, log);
    onStop(() => following.stop());
    onStop(() => link.close());
  },
});
