import { useEffect, useRef } from 'preact/hooks';
import UPlot from 'uplot';
import { cssColor } from './colors.ts';
import { timeOfDay } from './format.ts';
import type { ColorName } from './line-colors.ts';
import 'uplot/dist/uPlot.min.css';

/** One line of a chart: a value for each time, `null` where there is none. */
export interface Line {
  readonly name: string;
  readonly color: ColorName;
  readonly values: readonly (number | null)[];
}

interface ChartProps {
  /** Milliseconds since 1970, ascending. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  /** How much of the past it shows at most. It begins with a minute, so that the first lines fill it. */
  readonly spanMs: number;
  readonly format: (value: number) => string;
  /** The scale reaches at least so far; 1 if absent. With 4 a scale of what is counted has no fractions. */
  readonly least?: number | undefined;
  /** What is read out in place of the picture. */
  readonly label: string;
}

const HEIGHT = 124;
const AXIS_WIDTH = 54;
/** All charts of the page show the same time under the pointer. */
const SYNC = 'console';
const SPAN_LEAST_S = 60;
const FONT = '11px system-ui, sans-serif';

/** Lines over the last minutes. Time goes on at the right, and the scale begins at 0. */
export function Chart({ times, lines, spanMs, format, least = 1, label }: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot>(undefined);
  const data = [times.map((time) => time / 1000), ...lines.map(({ values }) => values)];
  const latest = useRef(data);
  latest.current = data;
  const names = lines.map(({ name, color }) => `${name} ${color}`).join('|');
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const made = new UPlot(
      plotOptions(element.clientWidth, { lines, spanMs, format, least }),
      latest.current as UPlot.AlignedData,
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() =>
      made.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [names, spanMs, format, least]);
  useEffect(() => {
    plot.current?.setData(latest.current as UPlot.AlignedData);
  });
  return <div ref={box} class="chart" role="img" aria-label={label} />;
}

function plotOptions(
  width: number,
  {
    lines,
    spanMs,
    format,
    least,
  }: Required<Pick<ChartProps, 'lines' | 'spanMs' | 'format'>> & {
    least: number;
  },
): UPlot.Options {
  const axis = {
    stroke: () => cssColor('quiet'),
    grid: { stroke: () => cssColor('line'), width: 1 },
    ticks: { show: false },
    font: FONT,
  };
  return {
    width,
    height: HEIGHT,
    legend: { show: false },
    padding: [8, 28, 0, 0],
    cursor: { y: false, drag: { x: false, y: false }, sync: { key: SYNC }, points: { size: 6 } },
    scales: {
      x: { time: true, range: (_, first) => timeRange(first, spanMs) },
      y: { range: (_, __, most) => [0, Math.max(least, (most ?? 0) * 1.1)] },
    },
    axes: [
      { ...axis, size: 24, gap: 5, space: 70, values: (_, marks) => marks.map(clockMark) },
      { ...axis, size: AXIS_WIDTH, gap: 6, space: 32, values: (_, marks) => marks.map(format) },
    ],
    series: [
      {},
      ...lines.map(({ name, color }) => ({
        label: name,
        width: 1.5,
        stroke: () => cssColor(color),
        ...(lines.length === 1 && { fill: () => faint(cssColor(color)) }),
        points: { show: false },
      })),
    ],
    hooks: { setCursor: [(self) => showValues(self, format)] },
  };
}

/** In seconds, as uPlot has times. */
function timeRange(first: number | null, spanMs: number): [number, number] {
  const now = Date.now() / 1000;
  const begin = Math.min(first ?? now, now - SPAN_LEAST_S);
  return [Math.max(begin, now - spanMs / 1000), now];
}

/** The colour of the area below a line. @param color as `rgb(r, g, b)` */
function faint(color: string): string {
  return color.replace(/^rgb\((.*)\)$/, 'rgba($1, 0.1)');
}

function clockMark(seconds: number): string {
  return timeOfDay(seconds * 1000).replace(/:00$/, '');
}

/** Writes what is under the pointer into the chart's own line of text. */
function showValues(plot: UPlot, format: (value: number) => string): void {
  const box = plot.root.parentElement;
  if (!box) return;
  const index = plot.cursor.idx;
  const time = index == null ? undefined : plot.data[0][index];
  if (index == null || time === undefined) {
    delete box.dataset.values;
    return;
  }
  const values = plot.series.slice(1).map(({ label }, line) => {
    const value = plot.data[line + 1]?.[index];
    const text = value == null ? '–' : format(value);
    return plot.series.length > 2 ? `${label} ${text}` : text;
  });
  box.dataset.values = [timeOfDay(time * 1000), ...values].join('  ');
}
