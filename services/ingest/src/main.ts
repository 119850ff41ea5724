import { readIngestConfiguration, tables } from '@tidemark/config';
import { EventAppender, followRevocations } from '@tidemark/nats';
import { createHttpFront, createParts, eventsChannel, runService } from '@tidemark/service';
import { Appends } from './appends.ts';
import { eventsEndpoint } from './events-endpoint.ts';
import { publishFigures } from './figures.ts';
import { readHooks } from './hooks/configuration.ts';
import { hooksEndpoint } from './hooks-endpoint.ts';
import { Publishing } from './publishing.ts';

runService({
  name: 'ingest',
  settings: tables.ingest,
  configure: readIngestConfiguration,
  async start(configuration, lifetime) {
    const hooks = readHooks(configuration.hooksFile, process.env);
    const parts = createParts('ingest', configuration, lifetime);
    const { link, metrics, revocations, signal, onStop } = parts;
    const appender = new EventAppender(link, {
      service: 'ingest',
      timeoutMs: configuration.appendTimeoutMs,
      pendingMax: configuration.appendsMax,
      ...parts,
    });
    const appends = new Appends(appender, metrics);
    const publishing = new Publishing({ ...configuration, ...parts, appends });
    const front = createHttpFront(parts, configuration, {
      endpoints: [
        eventsEndpoint({ ...configuration, ...parts, publishing }),
        hooksEndpoint({ ...configuration, ...parts, publishing, hooks }),
      ],
      channels: [eventsChannel({ receives: false, sends: true })],
      checks: {
        nats: () => link.connected,
        stream: () => appender.streamKnown,
        store: () => appender.storing,
      },
    });
    // The port answers before NATS is reached, so that publishers get 503 and not silence.
    await front.listen();
    await link.connect(signal);
    const following = followRevocations(link, revocations, parts);
    const figures = publishFigures(parts, { appender, appends, publishing, ready: front.ready });
    onStop(() => {
      following.stop();
      figures.stop();
    });
    onStop(() => link.close());
  },
});
