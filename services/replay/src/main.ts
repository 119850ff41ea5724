import { type ReplayConfiguration, readReplayConfiguration } from '@tidemark/config';
import {
  configureAuthentication,
  createApp,
  HttpServer,
  type Lifetime,
  runService,
} from '@tidemark/http';
import { connectNats, Feed, type NatsLink, readStreamState, serveArchive } from '@tidemark/nats';
import { TidemarkError } from '@tidemark/protocol';
import { Metrics } from '@tidemark/telemetry';
import { Shelf } from './archive/shelf.ts';
import { archiveSource } from './archive-source.ts';
import { historyEndpoints } from './history/endpoints.ts';
import { Projector } from './projector.ts';
import { StreamKeeper } from './stream-keeper.ts';

runService({ name: 'replay', configure: readReplayConfiguration, start });

async function start(config: ReplayConfiguration, lifetime: Lifetime): Promise<void> {
  const { log, signal, onStop } = lifetime;
  const metrics = new Metrics('replay');
  const shelf = new Shelf(config.databasePath, log);
  let link: NatsLink | undefined;
  let feed: Feed | undefined;
  const projector = new Projector({
    shelf,
    log,
    metrics,
    batchMax: config.projectionBatchMax,
    restart: (reason) => feed?.restart(reason),
  });

  // History is answered from the file at once, whether or not NATS is there.
  const app = createApp({
    log,
    metrics,
    authenticate: configureAuthentication(config, log),
    checks: { projection: () => projector.caughtUp },
    endpoints: historyEndpoints({
      shelf,
      metrics,
      progress: projector.progress,
      pageEventsMax: config.pageEventsMax,
      readEnd: () => readEnd(link),
    }),
  });
  const server = new HttpServer(app, log);
  await server.listen(config);
  onStop(() => server.stop(config.drainMs));

  link = await connectNats({ servers: config.natsUrl, name: 'replay', log, signal });
  const keeper = new StreamKeeper({ link, config, log });
  metrics.gauge('projection_lag_events', 'Events that the stream has and the archive lacks.', () =>
    Math.max(0, keeper.lastSequence - (shelf.archive.position?.sequence ?? 0)),
  );
  await keeper.check();
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
