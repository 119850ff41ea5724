/** The metrics of a service at one moment. The values of one metric's labels are added up. */
export type MetricValues = ReadonlyMap<string, number>;

/** The delay that Node's own measurement of the loop shows even when nothing blocks. */
const LOOP_DELAY_GRAIN_MS = 10;

/** Reads the metrics. This also begins a new measurement of the loop's delay. */
export async function readMetrics(url: string): Promise<MetricValues> {
  const response = await fetch(`${url}/metrics`);
  const values = new Map<string, number>();
  for (const line of (await response.text()).split('\n')) {
    const match = /^(\w+)(?:\{.*\})? (\S+)$/.exec(line);
    if (!match?.[1]) continue;
    values.set(match[1], (values.get(match[1]) ?? 0) + Number(match[2]));
  }
  return values;
}

/** The longest time for which the loop was blocked since the last reading. */
export function loopBlockMaxMs(values: MetricValues): number {
  const maxMs = (values.get('nodejs_eventloop_lag_max_seconds') ?? Number.NaN) * 1000;
  return Math.max(0, maxMs - LOOP_DELAY_GRAIN_MS);
}

/** The values of one metric in each process of a gateway that has several. */
export async function readPerProcess(url: string, name: string): Promise<number[]> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const values = new Map<string, number>();
  for (const [, process = '', value] of text.matchAll(
    new RegExp(`^${name}\\{.*process="(\\d+)".*\\} (\\S+)$`, 'gm'),
  )) {
    values.set(process, (values.get(process) ?? 0) + Number(value));
  }
  return [...values.values()];
}
