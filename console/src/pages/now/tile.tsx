import { Chart } from '../../ui/chart.tsx';
import type { Series } from './series.ts';

interface TileProps {
  readonly title: string;
  readonly figures: readonly { readonly name: string; readonly value: number | null }[];
  readonly format: (value: number) => string;
  readonly unit: string | undefined;
  /** Of the chart's scale. */
  readonly least: number | undefined;
  readonly note: string | undefined;
  readonly series: Series;
  /** The lines are not those of the figures, and have names of their own. */
  readonly legend: boolean;
  readonly spanMs: number;
}

/** One figure: what it is now, large, and how it came there. */
export function Tile({
  title,
  figures,
  format,
  unit,
  least,
  note,
  series,
  legend,
  spanMs,
}: TileProps) {
  return (
    <section class="tile" aria-label={title}>
      <h2>{title}</h2>
      <p class="tile-now">
        {figures.map(({ name, value }, index) => (
          <span key={name} class="tile-figure">
            {name && !legend && <span class={`swatch ${series.lines[index]?.color}`} />}
            {name && <span class="quiet">{name}</span>}
            <strong>{value === null ? '–' : format(value)}</strong>
            {unit && <span class="quiet">{unit}</span>}
          </span>
        ))}
        {note && <span class="quiet">{note}</span>}
      </p>
      <Chart
        times={series.times}
        lines={series.lines}
        spanMs={spanMs}
        format={format}
        least={least}
        label={describe(title, series, format)}
      />
      {legend && <Legend series={series} />}
    </section>
  );
}

function Legend({ series }: { series: Series }) {
  return (
    <ul class="legend">
      {series.lines.map(({ name, color }) => (
        <li key={name}>
          <span class={`swatch ${color}`} /> {name}
        </li>
      ))}
    </ul>
  );
}

function describe(title: string, { lines }: Series, format: (value: number) => string): string {
  const parts = lines.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${name}: no figures`;
    const [least, most] = [Math.min(...known), Math.max(...known)];
    return `${name}: between ${format(least)} and ${format(most)}`;
  });
  return `${title}, last 10 minutes. ${parts.join('. ')}`;
}
