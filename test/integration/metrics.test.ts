import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TRANSPORTS, untilEvents } from '../support/clients.ts';
import { nameOf, numbered, type System, series, startSystem } from '../support/system.ts';
import { until } from '../support/until.ts';

/* The figures that an operator needs: after something of everything has happened, each has moved. */

const TOPIC = 'measured';

/** Of another stream's incarnation, so that whoever comes with it is told a gap. */
const FOREIGN_CURSOR = '0123456789ab-1';

type Samples = ReadonlyMap<string, number>;

let system: System;
let shown: Readonly<Record<'gateway' | 'ingest' | 'replay', Samples>>;

beforeAll(async () => {
  const env = { TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '10', TIDEMARK_GATEWAY_SUBSCRIPTIONS_MAX: '1' };
  system = await startSystem({ env });
  await useEverything(system);
  const { gateway, ingest, replay } = system;
  shown = {
    gateway: await scrape(gateway),
    ingest: await scrape(ingest),
    replay: await scrape(replay),
  };
});
afterAll(() => system?.stop());

describe('metrics: after some traffic', () => {
  test.each([
    ['connections by transport', 'gateway_connections{transport="sse"}'],
    ['connections by transport', 'gateway_connections{transport="websocket"}'],
    ['their lifetime', 'gateway_connection_seconds_count{transport="websocket"}'],
    ['handshakes', 'gateway_connections_opened_total{transport="sse"}'],
    [
      'refusals by reason',
      'gateway_handshakes_refused_total{code="unauthenticated",transport="sse"}',
    ],
    [
      'refusals by reason',
      'gateway_handshakes_refused_total{code="unauthenticated",transport="websocket"}',
    ],
    ['reconnects', 'gateway_resumes_total{transport="websocket"}'],
    ['subscriptions', 'gateway_subscriptions'],
    ['events in', 'gateway_feed_events_total'],
    ['bytes in', 'gateway_feed_bytes_total'],
    ['deliveries, which are the events out', 'gateway_deliveries_total'],
    ['bytes out', 'gateway_sent_bytes_total'],
    ['batch sizes', 'gateway_write_events_count'],
    ['delivery lag', 'gateway_delivery_lag_seconds_count'],
    ['delivery lag', 'gateway_delivery_lag_seconds_bucket{le="60"}'],
    ['catch-ups by tier', 'gateway_catch_ups_ended_total{how="live",tier="archive"}'],
    ['catch-ups by tier', 'gateway_catch_ups_ended_total{how="live",tier="tail"}'],
    ['their duration', 'gateway_catch_up_seconds_count{tier="archive"}'],
    ['their size', 'gateway_catch_up_events_sum{tier="archive"}'],
    ['gaps', 'gateway_gaps_told_total{reason="epoch"}'],
    ["the tail's size", 'gateway_tail_bytes'],
    ["the tail's span", 'gateway_tail_span_seconds'],
    ['feed starts', 'gateway_feed_starts_total'],
    ['append latency over WebSocket', 'gateway_append_seconds_count'],
    ['duplicates over WebSocket', 'gateway_publishes_total{result="duplicate"}'],
    ['append errors over WebSocket', 'gateway_publishes_total{result="invalid_event"}'],
    ['limits hit', 'limits_hit_total{limit="subscriptions"}'],
    ['loop delay', 'nodejs_eventloop_lag_p99_seconds'],
    ['memory', 'process_resident_memory_bytes'],
  ])('gateway: %s: %s has moved', (_, name) => expectMoved('gateway', name));

  test.each([
    ['slow connections', 'gateway_fell_behind_total'],
    ['stalled connections', 'gateway_stalled_total'],
    ['connections behind the head', 'gateway_connections_behind'],
    ['positions behind the head', 'gateway_position_behind_max_events'],
    ['feed lag', 'gateway_feed_lag_seconds'],
  ])('gateway: %s: %s is shown', (_, name) => {
    expect(shown.gateway.has(`tidemark_${name}`)).toBe(true);
  });

  test.each([
    ['events in', 'ingest_events_total{result="stored"}'],
    ['bytes in', 'ingest_body_bytes_total'],
    ['append latency', 'ingest_append_seconds_count'],
    ['append errors', 'ingest_refused_total{code="invalid_event"}'],
    ['duplicates', 'ingest_events_total{result="duplicate"}'],
    ['loop delay', 'nodejs_eventloop_lag_p99_seconds'],
    ['memory', 'process_resident_memory_bytes'],
  ])('ingest: %s: %s has moved', (_, name) => expectMoved('ingest', name));

  test.each([
    ['what is projected', 'projection_position'],
    ['batch sizes', 'projection_batch_events_count'],
    ['history queries', 'history_query_seconds_count{query="page"}'],
    ['history queries', 'history_query_seconds_count{query="export"}'],
    ['loop delay', 'nodejs_eventloop_lag_p99_seconds'],
    ['memory', 'process_resident_memory_bytes'],
  ])('replay: %s: %s has moved', (_, name) => expectMoved('replay', name));

  test('replay: projector lag: is shown', () => {
    expect(shown.replay.has('tidemark_projection_lag_events')).toBe(true);
  });

  test.each(['gateway', 'ingest', 'replay'] as const)(
    '%s: version: is in a metric, and the same in /healthz',
    async (service) => {
      const { version } = (await (await fetch(`${system[service].url}/healthz`)).json()) as {
        version: string;
      };
      expect(version).toMatch(/^\d+\.\d+\.\d+/);
      expect(shown[service].get(`tidemark_build_info{version="${version}"}`)).toBe(1);
    },
  );

  test('labels: topics, users, cursors, addresses: stand in none', () => {
    const labels = Object.values(shown).flatMap((samples) => [...samples.keys()]);
    expect(labels.filter((text) => /measured|tester|127\.0\.0\.1|-\d+"/.test(text))).toEqual([]);
    expect(labels.length).toBeLessThan(1500);
  });
});

function expectMoved(service: keyof typeof shown, name: string): void {
  const full = /^(nodejs|process)_/.test(name) ? name : `tidemark_${name}`;
  expect(shown[service].get(full), full).toBeGreaterThan(0);
}

/** Clients come, publish, miss, return, are refused, and ask for what was. */
async function useEverything({ publisher, gateway, ingest, replay, token, ...more }: System) {
  const authorization = { authorization: `Bearer ${token}` };
  await publisher.storeAll(series(TOPIC, 1, 50));
  await until(async () => (await scrape(replay)).get('tidemark_projection_position') === 50);
  const listeners = TRANSPORTS.map((transport) => {
    return more.listen(transport, { topics: TOPIC, after: 'earliest' });
  });
  for (const listener of listeners) await until(() => listener.live);
  await publisher.store(numbered(TOPIC, 51));
  await publisher.store(numbered(TOPIC, 51));
  for (const listener of listeners) await untilEvents(listener, 51);

  const client = more.open();
  await client.first('welcome');
  const event = numbered(TOPIC, 52);
  for (const id of ['first', 'second']) client.send({ type: 'publish', id, event });
  expect((await client.first('published', 'second')).duplicate).toBe(true);
  client.send({ type: 'publish', id: 'wrong', event: { topic: TOPIC } });
  await client.first('error', 'wrong');
  client.send({ type: 'subscribe', id: 'a', topics: [TOPIC], after: FOREIGN_CURSOR });
  await client.first('live', 'a');
  client.send({ type: 'subscribe', id: 'b', topics: [TOPIC] });
  await client.first('error', 'b');
  const { cursor } = client.all('event').at(-2) ?? {};
  expect(client.all('event').map((one) => nameOf(one.event))).toHaveLength(52);
  await client.close();
  const returned = more.open();
  returned.send({ type: 'subscribe', id: 'c', topics: [TOPIC], after: cursor });
  await returned.first('live', 'c');

  await more.open({ token: 'none' }).closed;
  await fetch(`${gateway.url}/v1/sse?topics=${TOPIC}`);
  const type = { 'content-type': 'application/json' };
  const post = { method: 'POST', headers: { ...authorization, ...type }, body: '{"topic": 1}' };
  expect((await fetch(`${ingest.url}/v1/events`, post)).status).toBe(400);
  for (const accept of ['application/json', 'application/x-ndjson']) {
    const headers = { ...authorization, accept };
    await (await fetch(`${replay.url}/v1/events?topics=${TOPIC}`, { headers })).text();
  }
}

/** Samples by name and labels as they are shown, without the label of the service. */
async function scrape({ url }: { readonly url: string }): Promise<Samples> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const samples = new Map<string, number>();
  for (const [, name, labels = '', value] of text.matchAll(/^(\w+)(?:\{(.*)\})? (\S+)$/gm)) {
    const own = labels
      .split(',')
      .filter((label) => label !== '' && !label.startsWith('service='))
      .sort();
    samples.set(own.length > 0 ? `${name}{${own.join(',')}}` : `${name}`, Number(value));
  }
  return samples;
}
