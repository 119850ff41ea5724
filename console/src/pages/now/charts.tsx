import { signal } from '@preact/signals';
import { HISTORY_MS, history, stats } from '../../api/stats-feed.ts';
import type { GatewayStats, Together } from '../../api/types.ts';
import { bytes, count, duration, short } from '../../ui/format.ts';
import { Toggle } from '../../ui/toggle.tsx';
import { gatewaySeries, togetherSeries } from './series.ts';
import { Tile } from './tile.tsx';

const byGateway = signal(false);

/** There is no half connection: from 4 on the marks of a scale are whole. */
const COUNTED_LEAST = 4;

interface Figure {
  readonly title: string;
  /** Of the number and of the scale. */
  readonly format: (value: number) => string;
  readonly unit?: string;
  /** The chart's scale reaches at least so far. */
  readonly least?: number;
  readonly lines: readonly {
    readonly name: string;
    readonly read: (one: Together) => number | null;
  }[];
  /** The figure of one gateway, for the chart by gateway. */
  readonly gateway: (one: GatewayStats) => number | null;
  /** Beside the number. */
  readonly note?: (one: Together) => string;
}

const FIGURES: readonly Figure[] = [
  {
    title: 'Events in',
    format: short,
    unit: 'per s',
    lines: [{ name: 'in', read: (one) => one.eventsInPerSecond }],
    gateway: (one) => one.eventsInPerSecond,
  },
  {
    title: 'Events out',
    format: short,
    unit: 'per s',
    lines: [{ name: 'out', read: (one) => one.eventsOutPerSecond }],
    gateway: (one) => one.eventsOutPerSecond,
    note: (one) => `${bytes(one.bytesOutPerSecond)}/s`,
  },
  {
    title: 'Delivery delay',
    format: duration,
    lines: [
      { name: 'p50', read: (one) => one.deliveryMs?.p50 ?? null },
      { name: 'p99', read: (one) => one.deliveryMs?.p99 ?? null },
    ],
    gateway: (one) => one.deliveryMs?.p99 ?? null,
  },
  {
    title: 'Connections',
    format: short,
    least: COUNTED_LEAST,
    lines: [{ name: 'connections', read: (one) => one.connections }],
    gateway: (one) => one.connections.websocket + one.connections.sse,
    note: (one) => `${count(one.gateways)} ${one.gateways === 1 ? 'gateway' : 'gateways'}`,
  },
  {
    title: 'Catch-ups',
    format: short,
    least: COUNTED_LEAST,
    lines: [{ name: 'catch-ups', read: (one) => one.catchUps }],
    gateway: (one) => one.catchUps,
  },
  {
    title: 'Slow connections',
    format: short,
    least: COUNTED_LEAST,
    lines: [{ name: 'slow', read: (one) => one.slow }],
    gateway: (one) => one.slow,
  },
];

/** The last ten minutes of what all gateways do, or of what each does. */
export function Charts() {
  const current = stats.value;
  if (!current) return null;
  return (
    <section class="stack" aria-label="The last ten minutes">
      <div class="row spread">
        <p class="quiet">The last 10 minutes at most, a figure each second</p>
        <Toggle
          label="Lines"
          value={byGateway.value ? 'each' : 'all'}
          options={[
            { value: 'all', label: 'Together' },
            { value: 'each', label: 'By gateway' },
          ]}
          choose={(value) => {
            byGateway.value = value === 'each';
          }}
        />
      </div>
      <div class="tiles">
        {FIGURES.map((figure) => (
          <FigureTile key={figure.title} figure={figure} together={current.together} />
        ))}
      </div>
    </section>
  );
}

function FigureTile({ figure, together }: { figure: Figure; together: Together }) {
  const { title, format, unit, least, lines, gateway, note } = figure;
  const each = byGateway.value;
  const series = each ? gatewaySeries(history(), gateway) : togetherSeries(history(), lines);
  const isDelay = lines.length > 1;
  return (
    <Tile
      title={each && isDelay ? `${title}, p99` : title}
      figures={lines.map(({ name, read }) => ({
        name: isDelay ? name : '',
        value: read(together),
      }))}
      legend={each}
      format={format}
      unit={unit}
      least={least}
      note={note?.(together)}
      series={series}
      spanMs={HISTORY_MS}
    />
  );
}
