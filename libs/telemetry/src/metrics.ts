import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of one process. Names start with `tidemark_`; label sets are bounded. */
export class Metrics {
  readonly registry = new Registry();

  constructor(service: string, options: { readonly defaults: boolean } = { defaults: true }) {
    this.registry.setDefaultLabels({ service });
    if (options.defaults) collectDefaultMetrics({ register: this.registry });
  }

  counter<L extends string = never>(name: string, help: string, labels: readonly L[] = []) {
    return new Counter<L>({
      name: `tidemark_${name}`,
      help,
      labelNames: labels,
      registers: [this.registry],
    });
  }

  /** A counter whose value something else keeps: `read` is called at each scrape. */
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

  /** @param read called at each scrape, where the value is one that something else keeps */
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
