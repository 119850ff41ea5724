import { RevocationList } from '@tidemark/auth';
import { type ReplayConfiguration, readReplayConfiguration, tables } from '@tidemark/config';
import {
  configureAuthentication,
  confirmWith,
  createApps,
  HttpServer,
  type Lifetime,
  Limits,
  listenForOperators,
  parseOrigins,
  runService,
  SocketDoor,
} from '@tidemark/http';
import {
  connectNats,
  Feed,
  followRevocations,
  type NatsLink,
  readStreamState,
  serveArchive,
  toLinkOptions,
} from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import { Metrics } from '@tidemark/telemetry';
import { Shelf } from './archive/shelf.ts';
import { archiveSource } from './archive-source.ts';
import { historyEndpoints } from './history/endpoints.ts';
import { Projector } from './projector/projector.ts';
import { StreamKeeper } from './stream-keeper.ts';

runService({
  name: 'replay',
  settings: tables.replay,
  configure: readReplayConfiguration,
  start,
});

async function start(config: ReplayConfiguration, lifetime: Lifetime): Promise<void> {
  const { log, tracer, signal, onStop } = lifetime;
  const metrics = new Metrics('replay');
  const limits = new Limits(metrics);
  const shelf = new Shelf(config.databasePath, log);
  const revocations = new RevocationList(config);
  let link: NatsLink | undefined;
  let feed: Feed | undefined;
  const projector = new Projector({
    shelf,
    log,
    metrics,
    tracer,
    batchMax: config.projectionBatchMax,
    restart: (reason) => feed?.restart(reason),
  });

  // History is answered from the file, also while NATS is away: as soon as it is known once which
  // tokens are revoked.
  const origins = parseOrigins(config.allowedOrigins);
  const { app, operations } = createApps(
    {
      log,
      metrics,
      tracer,
      authenticate: configureAuthentication(config, { log, revocations, origins, limits }),
      origins,
      limits,
      checks: { projection: () => projector.caughtUp, revocations: () => revocations.isComplete },
      endpoints: historyEndpoints({
        shelf,
        metrics,
        tracer,
        progress: projector.progress,
        limits,
        confirm: confirmWith(revocations),
        pageEventsMax: config.pageEventsMax,
        readsPerUserMax: config.readsPerUserMax,
        exportsMax: config.exportsMax,
        readEnd: () => readEnd(link),
      }),
    },
    config,
  );
  const server = new HttpServer(app, log, {
    ...config,
    limits,
    door: new SocketDoor({ ...config, limits }),
  });
  await server.listen(config);
  onStop(() => server.stop(config.drainMs));
  const operators = await listenForOperators(operations, config, log);
  onStop(() => operators.stop());

  link = await connectNats({ ...toLinkOptions(config), name: 'tidemark-replay', log, signal });
  const keeper = new StreamKeeper({ link, config, log });
  metrics.gauge('projection_lag_events', 'Events that the stream has and the archive lacks.', () =>
    Math.max(0, keeper.lastSequence - (shelf.archive.position?.sequence ?? 0)),
  );
  await keeper.check();
  const following = followRevocations(link, revocations, log);
  feed = new Feed({
    link,
    log,
    onStart: (state) => projector.align(state),
    onRecord: (record) => projector.receive(record),
  });
  feed.start();
  const archive = serveArchive(link, archiveSource(shelf), log);

  onStop(async () => {
    keeper.stop();
    feed.stop();
    following.stop();
    projector.stop();
    await archive.stop();
    await link.close();
    shelf.close();
  });
}

async function readEnd(link: NatsLink | undefined): Promise<number> {
  try {
    const state = link?.connected ? await readStreamState(link) : undefined;
    if (state) return state.lastSequence;
  } catch (cause) {
    throw new TidemarkError('unavailable', 'The stream does not answer.', { cause });
  }
  throw new TidemarkError('unavailable', 'NATS is away: how far the log goes is not known.');
}
