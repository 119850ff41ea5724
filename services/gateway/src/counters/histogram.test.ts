import { Metrics } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';

test('tally: values on, under and above the bounds: shown as a histogram of Prometheus', async () => {
  const tally = new Histogram([1, 10]);
  tally.add(0);
  tally.add(1, 2);
  tally.add(10);
  tally.add(11, 3);
  const metrics = new Metrics('test', { defaults: false });
  metrics.keptHistogram('sizes', 'Sizes.', tally);
  const lines = (await metrics.registry.metrics()).trim().split('\n');
  expect(lines).toEqual([
    '# HELP tidemark_sizes Sizes.',
    '# TYPE tidemark_sizes histogram',
    'tidemark_sizes_bucket{le="1",service="test"} 3',
    'tidemark_sizes_bucket{le="10",service="test"} 4',
    'tidemark_sizes_bucket{le="+Inf",service="test"} 7',
    'tidemark_sizes_sum{service="test"} 45',
    'tidemark_sizes_count{service="test"} 7',
  ]);
});
