import { Metrics } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { mergeMetrics } from './exposition.ts';

function metricsOf(process: string, events: number): Metrics {
  const metrics = new Metrics('test', { defaults: false, process });
  metrics.counter('events_total', 'Events.').inc(events);
  metrics.keptHistogram('lag', 'Lag, \\ and "quotes".', {
    bounds: [1],
    counts: [events, 1],
    sum: 3,
  });
  metrics.gaugeBy({ name: 'open', help: 'Open.', label: 'kind' }, () => ({ 'a # b': events }));
  return metrics;
}

test('metrics of several processes: each metric is described once, and its series are side by side', async () => {
  const one = metricsOf('1', 5);
  const two = metricsOf('2', 7);
  two.gauge('only_two', 'There alone.', () => 1);
  const texts = await Promise.all([one, two].map(({ registry }) => registry.metrics()));
  expect(mergeMetrics(texts)).toBe(`# HELP tidemark_events_total Events.
# TYPE tidemark_events_total counter
tidemark_events_total{service="test",process="1"} 5
tidemark_events_total{service="test",process="2"} 7

# HELP tidemark_lag Lag, \\\\ and "quotes".
# TYPE tidemark_lag histogram
tidemark_lag_bucket{le="1",service="test",process="1"} 5
tidemark_lag_bucket{le="+Inf",service="test",process="1"} 6
tidemark_lag_sum{service="test",process="1"} 3
tidemark_lag_count{service="test",process="1"} 6
tidemark_lag_bucket{le="1",service="test",process="2"} 7
tidemark_lag_bucket{le="+Inf",service="test",process="2"} 8
tidemark_lag_sum{service="test",process="2"} 3
tidemark_lag_count{service="test",process="2"} 8

# HELP tidemark_open Open.
# TYPE tidemark_open gauge
tidemark_open{kind="a # b",service="test",process="1"} 5
tidemark_open{kind="a # b",service="test",process="2"} 7

# HELP tidemark_only_two There alone.
# TYPE tidemark_only_two gauge
tidemark_only_two{service="test",process="2"} 1
`);
});

test('metrics of one process: are what they were', async () => {
  const text = await metricsOf('1', 5).registry.metrics();
  expect(mergeMetrics([text])).toBe(text);
});
