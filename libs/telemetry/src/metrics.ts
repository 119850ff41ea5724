import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** A histogram that its owner keeps as plain numbers. */
export interface KeptHistogram {
  readonly bounds: readonly number[];
  /** Values in each bucket, and last those above all bounds. They are not cumulative. */
  readonly counts: readonly number[];
  readonly sum: number;
}

/** What the metrics of a process have besides their own series. */
export interface MetricsOptions {
  /** Whether they have those of the process and of Node; they do if absent. */
  readonly defaults?: boolean;
  /** The label `process` of each series, where several processes answer at one address. */
  readonly process?: string | undefined;
}

/**
 * The metrics of one process. `tidemark_` is put before each name. Labels have few values.
 *
 * @example
 * const metrics = new Metrics('ingest');
 * metrics.counter('ingest_events_total', 'Appends by result.', ['result']).inc({ result: 'stored' });
 */
export class Metrics {
  readonly registry = new Registry();

  constructor(service: string, { defaults = true, process }: MetricsOptions = {}) {
    this.registry.setDefaultLabels({ service, ...(process !== undefined && { process }) });
    if (defaults) collectDefaultMetrics({ register: this.registry });
  }

  /** A counter. */
  counter<L extends string = never>(name: string, help: string, labels: readonly L[] = []) {
    return new Counter<L>({
      name: `tidemark_${name}`,
      help,
      labelNames: labels,
      registers: [this.registry],
    });
  }

  /** A counter whose owner keeps the value. Each scrape calls `read`. */
  total(name: string, help: string, read: () => number) {
    return new Counter({
      name: `tidemark_${name}`,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }

  /** A histogram whose owner keeps the values. `scale` converts them to the metric's unit. */
  keptHistogram(name: string, help: string, kept: KeptHistogram, scale = 1): void {
    const full = `tidemark_${name}`;
    const metric = {
      name: full,
      help,
      type: 'histogram',
      aggregator: 'sum',
      reset: () => {},
      get: async () => ({
        name: full,
        help,
        type: 'histogram',
        values: toValues(full, kept, scale),
      }),
    };
    // The library's own class accepts values only one by one.
    this.registry.registerMetric(metric as unknown as Histogram);
  }

  /** A gauge. Each scrape calls `read`, where the owner keeps the value. */
  gauge(name: string, help: string, read?: () => number) {
    return new Gauge({
      name: `tidemark_${name}`,
      help,
      registers: [this.registry],
      ...(read && {
        collect() {
          this.set(read());
        },
      }),
    });
  }

  /** A gauge with one label. Each scrape calls `read` for the value of each label value. */
  gaugeBy<L extends string>(
    { name, help, label }: { readonly name: string; readonly help: string; readonly label: L },
    read: () => Readonly<Record<string, number>>,
  ) {
    return new Gauge<L>({
      name: `tidemark_${name}`,
      help,
      labelNames: [label],
      registers: [this.registry],
      collect() {
        for (const [value, number] of Object.entries(read())) {
          this.set({ [label]: value } as Record<L, string>, number);
        }
      },
    });
  }

  /** A histogram. */
  histogram<L extends string = never>(
    name: string,
    help: string,
    { buckets, labels = [] }: { readonly buckets: number[]; readonly labels?: readonly L[] },
  ) {
    return new Histogram<L>({
      name: `tidemark_${name}`,
      help,
      labelNames: labels,
      buckets,
      registers: [this.registry],
    });
  }
}

function toValues(name: string, { bounds, counts, sum }: KeptHistogram, scale: number) {
  let total = 0;
  const buckets = counts.map((count, index) => {
    total += count;
    const bound = bounds[index];
    const le = bound === undefined ? '+Inf' : bound * scale;
    return { labels: { le }, value: total, metricName: `${name}_bucket` };
  });
  return [
    ...buckets,
    { labels: {}, value: sum * scale, metricName: `${name}_sum` },
    { labels: {}, value: total, metricName: `${name}_count` },
  ];
}
