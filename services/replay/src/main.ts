import { type ReplayConfiguration, readReplayConfiguration, tables } from '@tidemark/config';
import { EVENT_LOOP, Steps } from '@tidemark/fairness';
import {
  EventAppender,
  eraseFromStream,
  Feed,
  followRevocations,
  type NatsLink,
  nextOfTopic,
  readNextRecord,
  readRecord,
  readStateReaching,
  requireErasable,
  writeLineage,
} from '@tidemark/nats';
import {
  type LogBounds,
  type SequenceRange,
  TidemarkError,
  type TypeFilter,
} from '@tidemark/protocol';
import {
  createHttpFront,
  createParts,
  eventsChannel,
  type HttpFront,
  type Lifetime,
  runService,
  type ServiceParts,
} from '@tidemark/service';
import type { Metrics } from '@tidemark/telemetry';
import { ArchiveStore } from './archive/archive-store.ts';
import { ExpirySweep } from './archive/expiry-sweep.ts';
import { erasureEndpoints } from './erasing/endpoints.ts';
import { Eraser } from './erasing/eraser.ts';
import { publishFigures } from './figures.ts';
import { historyEndpoints } from './history/endpoints.ts';
import { Reads } from './history/reads.ts';
import { Waits } from './history/waits.ts';
import {
  createInboxes,
  type InboxOptions,
  type InboxParts,
  inboxEndpoints,
} from './inbox/endpoints.ts';
import { InboxKeeper } from './inbox/keeper.ts';
import { type OwnTopics, parseOwnTopics } from './inbox/own-topics.ts';
import { Projector } from './projector/projector.ts';
import { StallWatch } from './projector/stall-watch.ts';
import { rebuildEndpoints } from './rebuilding/endpoints.ts';
import { Rebuilder } from './rebuilding/rebuilder.ts';
import { parseTombstones } from './serving/last-search.ts';
import { SharedArchive } from './serving/shared-archive.ts';
import { StreamKeeper } from './stream/stream-keeper.ts';

runService({
  name: 'replay',
  settings: tables.replay,
  configure: readReplayConfiguration,
  start,
});

async function start(config: ReplayConfiguration, lifetime: Lifetime): Promise<void> {
  const ownTopics = parseOwnTopics(config.inboxTopics);
  const parts = createParts('replay', config, lifetime);
  const { logger, metrics, link, limits, revocations, signal, onStop } = parts;
  const store = new ArchiveStore(config.databasePath, logger);
  const stallWatch = new StallWatch();
  const tombstones = parseTombstones(config.tombstoneTypes);
  let feed: Feed | undefined;
  let keeper: StreamKeeper | undefined;
  const waits = new Waits({ ...config, ...parts });
  const projector = createProjector(parts, config, {
    store,
    waits,
    restart: (reason) => feed?.restart(reason),
  });
  // Whatever reads the archive for a user waits in one queue.
  const steps = new Steps(EVENT_LOOP);
  const room = limits.budget('archive_request_bytes', {
    max: config.archiveRequestBytesMax,
    of: 'bytes of requests of gateways',
  });
  const lag = () => Math.max(0, (keeper?.lastSequence ?? 0) - store.lastSequence);
  const shared = new SharedArchive({
    ...parts,
    store,
    steps,
    room,
    tombstones,
    absenceMs: config.archiveAbsenceSeconds * 1000,
    lag,
    caughtUp: () => projector.caughtUp,
  });
  exposeProjection(metrics, { lag, stallWatch });

  const served = { store, projector, shared, stallWatch, waits, steps, ownTopics, tombstones };
  const inbox = openInbox(parts, config, served);
  const eraser = createEraser(parts, { store, appender: inbox.options.appender });
  const rebuilder = new Rebuilder({
    ...parts,
    store,
    openFeed: (reading) => new Feed({ link, logger, ...reading }),
    onExchanged: () => shared.announce(),
  });
  const front = createFront(parts, config, { ...served, ...inbox, rebuilder });
  await front.listen();
  await link.connect(signal);
  // What was archived was in the stream, whatever a server answers now.
  link.knownEnd.noteSequence(store.lastSequence);
  keeper = new StreamKeeper({
    link,
    config,
    logger,
    onChecked: (bounds) => {
      const { epoch, lastSequence } = bounds;
      inbox.keeper.noteStream(bounds);
      stallWatch.observe(store.lastSequence, lastSequence);
      const archived = store.archive.bounds?.epoch;
      const isLeft = archived !== undefined && archived !== epoch;
      // A feed that is not reading is about to align the archive.
      if (isLeft && feed?.reading) feed.restart('the log has a new epoch');
    },
  });
  await keeper.checkStream();
  const following = followRevocations(link, revocations, parts);
  feed = new Feed({
    link,
    logger,
    onStart: async (stream) => {
      const after = await projector.alignWith(stream);
      shared.announce();
      return after;
    },
    onRecord: (record) => projector.receiveRecord(record),
    onErased: (hole) => projector.skipErased(hole),
  });
  feed.start();
  const sweep = new ExpirySweep(store, logger);
  eraser.start();
  const { reads } = inbox.options;
  const figures = publishFigures(parts, { store, reads, rebuilder, lag, ready: front.ready });

  // A step of its own for each part, so that one that fails does not keep the archive from being closed.
  const others = [figures, following, projector, sweep, eraser, ...shared.start()];
  for (const part of [rebuilder, keeper, feed, ...others]) {
    onStop(() => part.stop());
  }
  // Before the link, which waits for NATS.
  onStop(() => store.close());
  onStop(() => link.close());
}

interface ProjectorParts {
  readonly store: ArchiveStore;
  readonly waits: Waits;
  /** Has the feed begin anew. */
  readonly restart: (reason: string) => void;
}

function createProjector(
  { logger, metrics, tracer, link }: ServiceParts,
  config: ReplayConfiguration,
  { store, waits, restart }: ProjectorParts,
): Projector {
  return new Projector({
    ...{ store, logger, metrics, tracer, restart },
    batchMax: config.projectionBatchMax,
    stream: {
      readRecord: (sequence) => readRecord(link, sequence),
      reachesBeyond: async (sequence) => (await readNextRecord(link, sequence)) !== undefined,
      writeLineage: (lineage, judged) => writeLineage(link, lineage, judged),
    },
    onWritten: (events, missing) => {
      store.archive.checkpoints.noteWritten(events);
      waits.noteWritten(events, missing);
    },
    onAligned: () => waits.noteChanged(),
  });
}

function createEraser(
  { logger, link }: ServiceParts,
  { store, appender }: { readonly store: ArchiveStore } & Pick<InboxOptions, 'appender'>,
): Eraser {
  return new Eraser({
    store,
    logger,
    stream: {
      eraseEvent: (sequence) => eraseFromStream(link, sequence),
      nextOfTopic: (topic, from) => nextOfTopic(link, topic, from),
      append: (notice) => appender.append(notice),
    },
  });
}

interface Served {
  readonly store: ArchiveStore;
  readonly projector: Projector;
  readonly shared: SharedArchive;
  readonly stallWatch: StallWatch;
  readonly waits: Waits;
  readonly steps: Steps;
  readonly ownTopics: OwnTopics;
  readonly tombstones: TypeFilter | undefined;
}

interface ServedInbox {
  readonly options: InboxOptions;
  readonly inbox: InboxParts;
  readonly keeper: InboxKeeper;
}

function openInbox(
  parts: ServiceParts,
  config: ReplayConfiguration,
  { store, projector, shared, steps, ownTopics, tombstones }: Served,
): ServedInbox {
  const { metrics, tracer, limits, link } = parts;
  const appender = new EventAppender(link, {
    ...parts,
    service: 'replay',
    timeoutMs: config.appendTimeoutMs,
    // Each change of an inbox holds a place among the reads. Few erasures are under way at a time.
    pendingMax: config.readsMax,
  });
  const options = {
    ...config,
    ...parts,
    appender,
    ownTopics,
    tombstones,
    store,
    reads: new Reads({ ...config, metrics, tracer, limits, steps }),
    progress: projector.progress,
    readBounds: (reaching: number) => readBounds(link, reaching),
    isElsewhere: (epoch: string, range: SequenceRange) => shared.filler.isElsewhere(epoch, range),
  };
  const inbox = createInboxes(options);
  return { options, inbox, keeper: new InboxKeeper({ ...options, ...inbox }) };
}

function createFront(
  parts: ServiceParts,
  config: ReplayConfiguration,
  served: Served & ServedInbox & { readonly rebuilder: Rebuilder },
): HttpFront {
  const { link } = parts;
  const { projector, shared, stallWatch, waits, options, inbox, rebuilder } = served;
  // History is answered from the file, even while NATS is away. Only the revoked tokens must have been
  // read once.
  return createHttpFront(parts, config, {
    endpoints: [
      ...historyEndpoints({
        ...config,
        ...options,
        waits,
        sharedKey: () => (link.seal.known ? link.seal.keyFor('place in topics') : undefined),
      }),
      ...inboxEndpoints(options, inbox),
    ],
    adminEndpoints: [
      ...erasureEndpoints({ ...options, requireErasable: () => requireErasable(link) }),
      ...rebuildEndpoints(rebuilder, parts),
    ],
    channels: [eventsChannel({ receives: true, sends: false })],
    checks: {
      projection: () => projector.caughtUp && !stallWatch.stalled,
      archive: () => projector.writable,
      filled: () => shared.filler.complete,
    },
  });
}

function exposeProjection(
  metrics: Metrics,
  { lag, stallWatch }: { readonly lag: () => number; readonly stallWatch: StallWatch },
): void {
  metrics.gauge('projection_lag_events', 'Events that the stream has and the archive lacks.', lag);
  metrics.gauge(
    'projection_stalled',
    '1 while the archive is behind and stands still, else 0.',
    () => Number(stallWatch.stalled),
  );
}

async function readBounds(link: NatsLink, reaching: number): Promise<LogBounds> {
  try {
    const bounds = link.connected ? await readStateReaching(link, reaching) : undefined;
    if (bounds) return bounds;
  } catch (cause) {
    throw new TidemarkError('unavailable', 'The stream does not answer.', { cause });
  }
  throw new TidemarkError('unavailable', 'NATS is away, so the end of the log is unknown.');
}
