import type { Command } from 'commander';
import { CliError, usageError } from '../base/errors.ts';
import { integer } from '../base/parse.ts';
import { type LoadFigures, runLoad } from '../load/load.ts';
import { formatCount, formatDuration, formatMs, formatRate } from '../output/format.ts';
import { LiveScreen } from '../output/live-screen.ts';
import type { Output } from '../output/output.ts';
import { connectClient } from '../session/client.ts';
import { command, does } from '../session/command.ts';
import type { Host } from '../session/context.ts';

interface Options {
  readonly connections: number;
  readonly rate: number;
  readonly seconds: number;
  readonly topic?: string;
}

const CONNECTIONS_MAX = 500;
const RATE_MAX = 2000;
const SECONDS_MAX = 300;

/** One process that measures cannot read more in a second without being what is measured. */
const DELIVERIES_MAX = 20_000;

/** `tidemark bench`. */
export function benchCommand(host: Host): Command {
  const made = command({
    usage: 'bench',
    summary: 'Put a small load on a running system, and measure how long delivery takes',
    description: `Every connection follows one topic; the events expire after an hour. It measures with one process, at most ${formatCount(DELIVERIES_MAX)} deliveries in a second: it shows whether a system is well, and not what it can do (npm run bench does). Times are from before the request to ingest to the consumer of the client library.`,
    examples: [
      'tidemark bench',
      'tidemark bench --connections 100 --rate 100 --seconds 30',
      'tidemark bench --json',
    ],
  })
    .option(
      '--connections <n>',
      `1 to ${CONNECTIONS_MAX}`,
      integer('--connections', 1, CONNECTIONS_MAX),
      10,
    )
    .option(
      '--rate <n>',
      `events in a second, 1 to ${RATE_MAX}`,
      integer('--rate', 1, RATE_MAX),
      20,
    )
    .option('--seconds <n>', `1 to ${SECONDS_MAX}`, integer('--seconds', 1, SECONDS_MAX), 10)
    .option('--topic <topic>', 'the topic; one of its own if absent');
  return does<Options>(made, host, async (context, options) => {
    const { connections, rate, seconds } = options;
    const { output, signal } = context;
    if (connections * rate > DELIVERIES_MAX) {
      throw usageError(
        `${connections} connections at ${rate} events in a second are ${formatCount(connections * rate)} deliveries in a second; at most ${formatCount(DELIVERIES_MAX)} can be measured.`,
      );
    }
    const topic = options.topic ?? `tidemark-bench.${crypto.randomUUID().slice(0, 8)}`;
    const api = await context.api();
    await api.send({ path: '/v1/head', attempts: 2 });
    const screen = output.isTerminal && !output.json ? new LiveScreen(output) : undefined;
    if (!output.json)
      output.message(`Opening ${formatCount(connections)} connections to ${topic} …`);
    const figures = await runLoad({
      ...{ api, topic, connections, rate, seconds, signal },
      connect: () => connectClient(context),
      onProgress: async (now) => screen?.draw(lines(output, now)),
    }).finally(() => screen?.end());
    if (output.json) await output.data({ topic, connections, rate, seconds, ...figures });
    else if (screen) await screen.draw(lines(output, figures)).finally(() => screen.end());
    else for (const line of lines(output, figures)) await output.line(line);
    const missing = figures.expected - figures.delivered;
    if (missing > 0) {
      throw new CliError(`${formatCount(missing)} deliveries did not come in time.`, {
        code: 'late',
      });
    }
  });
}

function lines(output: Output, figures: LoadFigures): string[] {
  const { elapsedMs, published, expected, delivered, deliveryMs, appendMs } = figures;
  const rate = (count: number) => formatRate((count * 1000) / Math.max(1, elapsedMs));
  const row = (name: string, text: string) => `${output.style('dim', name.padEnd(10))} ${text}`;
  return [
    row('time', formatDuration(elapsedMs)),
    row('published', `${formatCount(published)} (${rate(published)})`),
    row('delivered', `${formatCount(delivered)} of ${formatCount(expected)} (${rate(delivered)})`),
    row('append', quantiles(appendMs)),
    row('delivery', quantiles(deliveryMs)),
  ];
}

function quantiles({ p50, p99 }: LoadFigures['deliveryMs']): string {
  if (p50 === undefined || p99 === undefined) return 'nothing yet';
  return `p50 ${formatMs(p50)}, p99 ${formatMs(p99)}`;
}
