import type { Metrics } from '@tidemark/telemetry';
import type { Registry } from '../connections/registry.ts';
import type { Counts } from '../counters/counters.ts';
import type { Log } from '../log/event-log.ts';

/** The counts that only grow. */
type Total = {
  [K in keyof Counts]: Counts[K] extends number ? K : never;
}[keyof Counts];

/** Shows what the gateway counts and holds at each scrape. */
export function exposeMetrics(metrics: Metrics, log: Log, registry: Registry): void {
  const { counts, tail, cold, hub } = log;
  const totals: [name: string, help: string, field: Total][] = [
    ['gateway_feed_events_total', 'Events received from the stream.', 'feedEvents'],
    [
      'gateway_feed_invalid_total',
      'Messages of the stream that are no valid event.',
      'feedInvalid',
    ],
    ['gateway_deliveries_total', 'Events written to connections.', 'deliveries'],
    ['gateway_writes_total', 'Writes to sockets.', 'writes'],
    ['gateway_sent_bytes_total', 'Bytes written to sockets.', 'bytesOut'],
    ['gateway_fell_behind_total', 'Live connections whose socket was full.', 'fellBehind'],
    ['gateway_catch_ups_total', 'Subscriptions that began behind the head.', 'catchUps'],
    ['gateway_catch_up_tail_events_total', 'Catch-up events from the tail.', 'catchUpTailEvents'],
    ['gateway_catch_up_cold_events_total', 'Catch-up events from below.', 'catchUpColdEvents'],
    ['gateway_cold_reads_total', 'Reads from stream and archive.', 'coldReads'],
    ['gateway_cold_reads_shared_total', 'Reads answered by an equal one.', 'coldReadsShared'],
    ['gateway_gaps_total', 'Gaps told to clients.', 'gaps'],
    ['gateway_passed_over_total', 'Events passed over for newer ones.', 'passedOver'],
    ['gateway_stalled_total', 'Connections closed because they took nothing.', 'stalled'],
    ['gateway_unresponsive_total', 'Connections closed without a pong.', 'unresponsive'],
    ['gateway_heartbeats_total', 'Heartbeats sent.', 'heartbeats'],
    ['gateway_feed_bytes_total', 'Bytes of events received from the stream.', 'feedBytes'],
    ['gateway_feed_starts_total', 'Times that the feed started, or started again.', 'feedRestarts'],
  ];
  for (const [name, help, field] of totals) metrics.total(name, help, () => counts[field]);
  const gauges: [name: string, help: string, read: () => number][] = [
    [
      'gateway_connections_behind',
      'Connections that are catching up or slow.',
      () => registry.count(({ connection }) => !connection.live),
    ],
    ['gateway_cohorts', 'Different sets of patterns that are live.', () => hub.cohorts],
    ['gateway_tail_bytes', 'Memory that the tail reckons with.', () => tail.bytes],
    ['gateway_tail_events', 'Events in the tail.', () => tail.length],
    [
      'gateway_tail_span_seconds',
      'How far back the tail reaches.',
      () => (tail.oldestMs === undefined ? 0 : (Date.now() - tail.oldestMs) / 1000),
    ],
    [
      'gateway_position_behind_max_events',
      'How far the last connection is behind the head, in sequences.',
      () => registry.furthestBehind(tail.head),
    ],
    [
      'gateway_feed_lag_seconds',
      'Age of the last event received when it came.',
      () => counts.feedLagMs / 1000,
    ],
    ['gateway_head_sequence', 'Last sequence received.', () => tail.head],
    ['gateway_cold_reads_waiting', 'Reads that wait for their turn.', () => cold.waiting],
  ];
  for (const [name, help, read] of gauges) metrics.gauge(name, help, read);
  const connections = { name: 'gateway_connections', help: 'Connections.', label: 'transport' };
  metrics.gaugeBy(connections, () => ({
    websocket: registry.count(({ transport }) => transport === 'websocket'),
    sse: registry.count(({ transport }) => transport === 'sse'),
  }));
  metrics.tally(
    'gateway_delivery_lag_seconds',
    'From append to write, of events to live connections.',
    counts.deliveryLagMs,
    1 / 1000,
  );
  metrics.tally('gateway_write_events', 'Events in one write.', counts.writeEvents);
}
