import { expect, test } from 'vitest';
import { Histogram } from './histogram.ts';
import { Metrics } from './metrics.ts';

test('histogram: values on, under and above the bounds: shown as a histogram of Prometheus', async () => {
  const histogram = new Histogram([1, 10]);
  histogram.observe(0);
  histogram.observe(1, 2);
  histogram.observe(10);
  histogram.observe(11, 3);
  const metrics = new Metrics('test', { defaults: false });
  metrics.keptHistogram('sizes', 'Sizes.', histogram);
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
