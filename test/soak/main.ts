import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startSystem, withNats } from '../support/system.ts';
import { ALLOWANCES, hasGrown } from './limits.ts';
import { fillCaches, type LoadCounts, runLoad } from './load.ts';
import { measure } from './measurements.ts';
import { draw, type Panel } from './picture.ts';
import { median, type Sample, trendOf } from './trend.ts';

const HELP = `npm run soak -- [--minutes 30] [--picture soak.svg]

Runs every kind of load on real services and checks that memory, file descriptors, timers, consumers and
the delay of the event loop stay flat. The first third of the time is left out: caches fill then. Exit
code 1: something grows.
`;

/** Samples that a trend is computed from. Each is the median of what was measured in its time. */
const POINTS = 60;
const MEASURE_MS = 1000;

/** Caches and retention reach their limits within the part of the time that is left out. */
const ENV = {
  TIDEMARK_STREAM_MAX_BYTES: String(16 * 1024 * 1024),
  TIDEMARK_STREAM_DUPLICATE_WINDOW_SECONDS: '10',
  TIDEMARK_GATEWAY_TAIL_EVENTS_MAX: '2000',
};

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '30' },
    picture: { type: 'string', default: 'soak.svg' },
    help: { type: 'boolean', default: false },
  },
});
if (options.help) console.log(HELP);
else await soak(Number(options.minutes) * 60_000, options.picture);

async function soak(durationMs: number, picture: string): Promise<void> {
  if (!(durationMs > 0)) throw new Error('--minutes must be a number above 0.');
  const counts = { published: 0, received: 0, visits: 0, pages: 0, exports: 0, stalls: 0 };
  const series = new Map<string, Sample[]>();
  const system = await startSystem({ env: ENV });
  const ending = new AbortController();
  try {
    console.log('Filling the archive and the caches …');
    await fillCaches(system);
    const load = runLoad(system, counts, ending.signal);
    await Promise.race([load, watch()]);
    ending.abort();
    await load;
  } finally {
    ending.abort();
    await system.stop();
  }
  report(series, counts, picture);

  async function watch(): Promise<void> {
    const beganMs = performance.now();
    await withNats(system.nats.url, async (nats) => {
      let told = 0;
      for (let atMs = 0; atMs < durationMs; atMs = performance.now() - beganMs) {
        for (const [name, value] of await measure(system, nats)) {
          const samples = series.get(name) ?? [];
          series.set(name, samples);
          samples.push({ atS: atMs / 1000, value });
        }
        const part = Math.floor((10 * atMs) / durationMs);
        if (part > told) console.log(`${part * 10} %: ${JSON.stringify(counts)}`);
        told = part;
        await sleep(MEASURE_MS);
      }
    });
  }
}

function report(
  series: ReadonlyMap<string, readonly Sample[]>,
  counts: LoadCounts,
  picture: string,
): void {
  console.log(JSON.stringify(counts));
  const panels = [...series].map(([name, samples]) => judge(name, samples));
  for (const { name, verdict, isFlat } of panels) {
    console.log(`${isFlat ? 'flat ' : 'GROWS'}  ${name.padEnd(20)} ${verdict}`);
  }
  writeFileSync(picture, draw(panels));
  console.log(`The picture is ${picture}.`);
  if (panels.some(({ isFlat }) => !isFlat)) process.exitCode = 1;
}

function judge(name: string, samples: readonly Sample[]): Panel {
  const [, value = ''] = name.split(' ');
  const allowance = ALLOWANCES[value];
  if (!allowance) throw new Error(`There is no limit for ${name}.`);
  const trend = trendOf(thin(samples.slice(Math.floor(samples.length / 3))));
  const grown = hasGrown(trend, allowance);
  const sign = trend.growth < 0 ? '' : '+';
  const certainty = trend.isCertain ? '' : ', within the noise';
  const verdict = `${show(trend.median, value)}, ${sign}${show(trend.growth, value)}${certainty}`;
  return { name, samples: thin(samples), verdict, isFlat: !grown };
}

/** At most `POINTS` samples, each the median of its neighbours. */
function thin(samples: readonly Sample[]): Sample[] {
  const size = Math.max(1, Math.ceil(samples.length / POINTS));
  const thinned: Sample[] = [];
  for (let start = 0; start + size <= samples.length; start += size) {
    const part = samples.slice(start, start + size);
    thinned.push({ atS: part[0]?.atS ?? 0, value: median(part.map(({ value }) => value)) });
  }
  return thinned;
}

function show(value: number, name: string): string {
  if (name === 'memory') return `${(value / 1024 / 1024).toFixed(1)} MiB`;
  return name === 'loopDelayMs' ? `${value.toFixed(1)} ms` : value.toFixed(1);
}
