import { readRelayConfiguration, tables } from '@tidemark/config';
import { createApp, HttpServer, parseHosts } from '@tidemark/http';
import { TidemarkError } from '@tidemark/protocol';
import { runService, VERSION } from '@tidemark/service';
import { Metrics } from '@tidemark/telemetry';
import { openStore, requireTable } from './outbox/open-store.ts';
import { postBatch } from './requests/ingest.ts';
import { findHead, lookUp } from './requests/look-up.ts';
import { Token } from './requests/token.ts';
import { countRows } from './rounds/counters.ts';
import { HeldTopics } from './rounds/held-topics.ts';
import { observe } from './rounds/observation.ts';
import { Relay } from './rounds/relay.ts';
import { Waits } from './rounds/waits.ts';

runService({
  name: 'relay',
  settings: tables.relay,
  configure: readRelayConfiguration,
  async start(configuration, { logger, signal, onStop }) {
    requireTable(configuration);
    const metrics = new Metrics('relay');
    const token = new Token({ ...configuration, logger });
    const waits = new Waits(logger);
    const held = new HeldTopics(configuration.retryMsMax);
    const giveUp = new AbortController();
    const requests = { ...configuration, token, signal: giveUp.signal };
    const relay = new Relay({
      ...configuration,
      recognisedMs: configuration.recognisedSeconds * 1000,
      openStore: () => openStore(configuration),
      counters: countRows(metrics),
      waits,
      held,
      logger,
      signal,
      proven: () => token.proven,
      post: async (events) => {
        const sent = await postBatch(configuration.ingestUrl, events, requests);
        if (sent.end === 'stored') token.prove();
        return sent;
      },
      findHead: () => findHead(requests),
      lookUp: (wanted, head) => lookUp(wanted, head, requests),
    });
    observe(metrics, { relay, waits, held });
    const app = createApp({
      version: VERSION,
      service: 'relay',
      logger,
      metrics,
      metricsCacheMs: configuration.metricsCacheMs,
      checkHost: parseHosts(configuration),
      endpoints: [],
      authenticate: async () => {
        throw new TidemarkError('forbidden', 'The relay answers nobody.');
      },
      checks: {
        database: () => relay.connected,
        ingest: () => !waits.has('ingest'),
      },
    });
    const http = new HttpServer(app, logger);
    await http.listen(configuration);
    const done = relay.run();
    onStop(async () => {
      const late = setTimeout(() => giveUp.abort(), configuration.drainMs);
      await done;
      clearTimeout(late);
    });
    onStop(() => http.stop(0));
  },
});
