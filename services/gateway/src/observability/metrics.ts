import type { Metrics } from '@tidemark/telemetry';
import type { BehindConnections } from '../connections/behind.ts';
import type { ConnectionContext } from '../connections/context.ts';
import type { Registry } from '../connections/registry.ts';
import type { Counters } from '../counters/counters.ts';

/** The names of the counters that only grow. */
type Total = {
  [K in keyof Counters]: Counters[K] extends number ? K : never;
}[keyof Counters];

/** Exposes the gateway's counters and sizes; each scrape reads them. */
export function exposeMetrics(
  metrics: Metrics,
  { log, hub, coldReads, counters, behind }: ConnectionContext,
  registry: Registry,
): void {
  const { tail } = log;
  const totals: [name: string, help: string, field: Total][] = [
    ['gateway_feed_events_total', 'Events received from the stream.', 'feedEvents'],
    [
      'gateway_feed_invalid_total',
      'Messages of the stream that are not valid events.',
      'feedInvalid',
    ],
    ['gateway_deliveries_total', 'Events written to connections.', 'deliveries'],
    ['gateway_writes_total', 'Writes to sockets.', 'writes'],
    ['gateway_sent_bytes_total', 'Bytes written to sockets.', 'bytesOut'],
    ['gateway_fell_behind_total', 'Times that a live connection fell behind.', 'fellBehind'],
    ['gateway_catch_ups_total', 'Subscriptions that began behind the head.', 'catchUps'],
    ['gateway_catch_up_tail_events_total', 'Catch-up events from the tail.', 'catchUpTailEvents'],
    [
      'gateway_catch_up_cold_events_total',
      'Catch-up events from archive and stream.',
      'catchUpColdEvents',
    ],
    ['gateway_cold_reads_total', 'Reads from stream and archive.', 'coldReads'],
    ['gateway_cold_reads_shared_total', 'Cold reads that shared an equal one.', 'coldReadsShared'],
    ['gateway_cold_reads_left_total', 'Cold reads given up by all clients.', 'coldReadsLeft'],
    ['gateway_stream_scans_total', 'Reads of the stream, of any number of clients.', 'streamScans'],
    ['gateway_gaps_total', 'Gaps sent to clients.', 'gaps'],
    ['gateway_skipped_total', 'Events skipped for newer ones of their topics.', 'skipped'],
    ['gateway_stalled_total', 'Connections closed because their sockets took nothing.', 'stalled'],
    [
      'gateway_unresponsive_total',
      'Connections closed without a pong, or with half a message.',
      'unresponsive',
    ],
    ['gateway_heartbeats_total', 'Heartbeats sent.', 'heartbeats'],
    ['gateway_feed_bytes_total', 'Bytes of events received from the stream.', 'feedBytes'],
    ['gateway_feed_starts_total', 'Times that the feed started, or started again.', 'feedRestarts'],
  ];
  for (const [name, help, field] of totals) metrics.total(name, help, () => counters[field]);
  const gauges: [name: string, help: string, read: () => number][] = [
    ['gateway_connections_behind', 'Connections that are catching up or slow.', () => behind.size],
    ['gateway_connections_slow', 'Connections that are slow.', () => behind.slow],
    ['gateway_subscriber_groups', 'Groups of live connections.', () => hub.groupCount],
    ['gateway_tail_bytes', 'Bytes that count against the tail limit.', () => tail.bytes],
    ['gateway_tail_events', 'Events in the tail.', () => tail.length],
    [
      'gateway_tail_span_seconds',
      'How far back the tail reaches.',
      () => (tail.oldestMs === undefined ? 0 : (Date.now() - tail.oldestMs) / 1000),
    ],
    [
      'gateway_position_behind_max_events',
      'How far the slowest connection is behind the head, in sequences.',
      () => furthestBehind(behind, tail.head),
    ],
    [
      'gateway_feed_lag_seconds',
      'Age of the last event when it arrived.',
      () => counters.feedLagMs / 1000,
    ],
    ['gateway_head_sequence', 'Last sequence received.', () => tail.head],
    ['gateway_cold_reads_waiting', 'Reads that wait for others to end.', () => coldReads.waiting],
  ];
  for (const [name, help, read] of gauges) metrics.gauge(name, help, read);
  const connections = { name: 'gateway_connections', help: 'Connections.', label: 'transport' };
  metrics.gaugeBy(connections, () => registry.sizes);
  metrics.keptHistogram(
    'gateway_delivery_lag_seconds',
    'Time from append to write, to live connections.',
    counters.deliveryLagMs,
    1 / 1000,
  );
  metrics.keptHistogram('gateway_write_events', 'Events in one write.', counters.writeEvents);
}

/** The number of sequences between the head and the connection that is furthest from it. */
function furthestBehind(behind: BehindConnections, head: number): number {
  let furthest = 0;
  for (const connection of behind) {
    const position = connection.position();
    if (position) furthest = Math.max(furthest, head - position.sequence);
  }
  return furthest;
}
