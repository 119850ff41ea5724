import type { Sample } from '../../api/stats-feed.ts';
import type { GatewayStats, Together } from '../../api/types.ts';
import type { Line } from '../../ui/chart.tsx';
import { type ColorName, LINE_COLORS } from '../../ui/line-colors.ts';

/** More gateways than that are not told apart by their colours. */
const GATEWAYS_MAX = LINE_COLORS.length;
/** After a longer time without figures the line has a hole. */
const HOLE_MS = 3000;

/** A figure that both one gateway and all together have. */
export interface Figure {
  readonly together: (one: Together) => number | null;
  readonly gateway: (one: GatewayStats) => number | null;
}

export interface Series {
  readonly times: readonly number[];
  readonly lines: readonly Line[];
}

/** Lines of figures of all gateways together. */
export function togetherSeries(
  samples: readonly Sample[],
  figures: readonly { readonly name: string; readonly read: (one: Together) => number | null }[],
): Series {
  const points = withHoles(samples);
  const lines = figures.map(({ name, read }, index) => ({
    name,
    color: colorAt(index),
    values: points.map(({ sample }) => (sample ? read(sample.stats.together) : null)),
  }));
  return { times: points.map(({ at }) => at), lines };
}

/** A line for each gateway that there is now. */
export function gatewaySeries(
  samples: readonly Sample[],
  read: (one: GatewayStats) => number | null,
): Series {
  const points = withHoles(samples);
  const instances = gatewaysOf(samples.at(-1)).map(({ instance }) => instance);
  const lines = instances.slice(0, GATEWAYS_MAX).map((instance, index) => ({
    name: instance,
    color: colorAt(index),
    values: points.map(({ sample }) => {
      const one = gatewaysOf(sample).find((gateway) => gateway.instance === instance);
      return one ? read(one) : null;
    }),
  }));
  return { times: points.map(({ at }) => at), lines };
}

interface Point {
  readonly at: number;
  readonly sample?: Sample;
}

function withHoles(samples: readonly Sample[]): readonly Point[] {
  const points: Point[] = [];
  for (const sample of samples) {
    const before = points.at(-1)?.at ?? sample.at;
    if (sample.at - before > HOLE_MS) points.push({ at: before + 1 });
    points.push({ at: sample.at, sample });
  }
  return points;
}

function gatewaysOf(sample: Sample | undefined): readonly GatewayStats[] {
  return sample?.stats.services.filter((one) => one.service === 'gateway') ?? [];
}

function colorAt(index: number): ColorName {
  return LINE_COLORS[index] ?? 'quiet';
}
