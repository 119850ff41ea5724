import type { Command } from 'commander';
import { messageOf } from '../base/errors.ts';
import { offline } from '../http/service-error.ts';
import { readBlocks } from '../http/sse.ts';
import {
  formatBytes,
  formatCount,
  formatDuration,
  formatMs,
  formatRate,
} from '../output/format.ts';
import { LiveScreen } from '../output/live-screen.ts';
import type { Output } from '../output/output.ts';
import { linesFor } from '../output/show-table.ts';
import type { Column } from '../output/table.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';

interface Delay {
  readonly p50: number;
  readonly p99: number;
}

/** One line of the table: figures that a service does not have are absent. */
interface Service {
  readonly service: string;
  readonly instance: string;
  readonly version: string;
  readonly seenMs: number;
  readonly ready: boolean;
  readonly startedAt?: string;
  readonly connections?: { readonly websocket: number; readonly sse: number };
  readonly slow?: number;
  readonly catchUps?: number;
  readonly eventsInPerSecond?: number;
  readonly eventsOutPerSecond?: number;
  readonly deliveryMs?: Delay | null;
  readonly eventsPerSecond?: number;
  readonly refusedPerSecond?: number;
  readonly appendMs?: Delay | null;
  readonly store?: string;
  readonly behind?: number;
  readonly events?: number;
  readonly bytes?: number;
  readonly rebuild?: {
    readonly state: string;
    readonly done: number;
    readonly total: number;
  } | null;
  readonly memoryBytes?: number;
}

interface Stats {
  readonly time: string;
  readonly together: {
    readonly gateways: number;
    readonly connections: number;
    readonly slow: number;
    readonly catchUps: number;
    readonly eventsInPerSecond: number;
    readonly eventsOutPerSecond: number;
    readonly bytesOutPerSecond: number;
    readonly deliveryMs: Delay | null;
  };
  readonly services: readonly Service[];
}

/** `tidemark stats`. */
export function statsCommand(host: Host): Command {
  const made = command({
    usage: 'stats',
    summary: 'Show the figures of all services',
    description:
      'On a terminal they are shown anew each second until Ctrl-C. With --watch --json each second is a line. Needs a token with admin.',
    examples: [
      'tidemark stats',
      'tidemark stats --once',
      'tidemark stats --watch --json > stats.ndjson',
    ],
  })
    .option('--once', 'one picture, also on a terminal')
    .option('--watch', 'each second, also in a pipe');
  return does<{ once?: boolean; watch?: boolean }>(made, host, async (context, options) => {
    const { output } = context;
    const isLive = options.watch === true || (output.isTerminal && !options.once && !output.json);
    if (isLive) return follow(context);
    const { body } = await (await context.api()).send<Stats>({
      service: 'gatewayAdmin',
      path: '/v1/admin/stats',
    });
    await show(output, body);
  });
}

async function follow(context: Context): Promise<void> {
  const { output, signal } = context;
  const api = await context.api();
  const screen = output.isTerminal && !output.json ? new LiveScreen(output) : undefined;
  try {
    const response = await api.open({
      service: 'gatewayAdmin',
      path: '/v1/admin/stats',
      headers: { accept: 'text/event-stream' },
    });
    for await (const { event, data } of readBlocks(response)) {
      if (event !== 'stats') continue;
      const stats = JSON.parse(data) as Stats;
      if (screen) await screen.draw(lines(output, stats));
      else await show(output, stats);
    }
    throw offline(api.url('gatewayAdmin'), 'it ended the stream');
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TypeError) throw offline(api.url('gatewayAdmin'), messageOf(error));
    throw error;
  } finally {
    await screen?.end();
  }
}

async function show(output: Output, stats: Stats): Promise<void> {
  if (output.json) return output.data(stats);
  for (const line of lines(output, stats)) await output.line(line);
}

function lines(output: Output, { time, together, services }: Stats): string[] {
  const { connections, slow, catchUps, eventsInPerSecond, eventsOutPerSecond } = together;
  const head = [
    `${formatCount(connections)} connections at ${together.gateways} gateways`,
    `${formatCount(slow)} slow, ${formatCount(catchUps)} catching up`,
    `${formatRate(eventsInPerSecond)} in, ${formatRate(eventsOutPerSecond)} out (${formatBytes(together.bytesOutPerSecond)}/s)`,
    `delivery ${delayText(together.deliveryMs)}`,
  ];
  return [
    output.style('bold', `${time}`),
    ...head,
    '',
    ...linesFor(output, columns(output), services),
  ];
}

function columns(output: Output): Column<Service>[] {
  return [
    { title: 'SERVICE', value: ({ service }) => service },
    { title: 'INSTANCE', value: ({ instance }) => instance, flexible: true },
    { title: 'VERSION', value: ({ version }) => version },
    {
      title: 'STATE',
      value: stateOf,
      style: (text, row) => output.style(stateOf(row) === 'ready' ? 'green' : 'yellow', text),
    },
    { title: 'FIGURES', value: figuresOf, flexible: true },
    { title: 'MEMORY', value: ({ memoryBytes = 0 }) => formatBytes(memoryBytes), align: 'right' },
  ];
}

/** A service announces itself each second; one that is late may be gone. */
const LATE_MS = 3000;

function stateOf({ ready, seenMs, store }: Service): string {
  if (seenMs > LATE_MS) return `silent ${formatDuration(seenMs)}`;
  if (store !== undefined && store !== 'ok') return `store ${store}`;
  return ready ? 'ready' : 'not ready';
}

function figuresOf(row: Service): string {
  const parts: string[] = [];
  const add = (value: number | undefined, text: (value: number) => string) => {
    if (value !== undefined) parts.push(text(value));
  };
  if (row.connections) parts.push(`${row.connections.websocket} ws`, `${row.connections.sse} sse`);
  add(row.slow, (slow) => `${slow} slow`);
  add(row.catchUps, (catchUps) => `${catchUps} catching up`);
  add(row.eventsInPerSecond, (rate) => `${formatRate(rate)} in`);
  add(row.eventsOutPerSecond, (rate) => `${formatRate(rate)} out`);
  add(row.eventsPerSecond, (rate) => `${formatRate(rate)} stored`);
  add(row.refusedPerSecond, (rate) => `${formatRate(rate)} refused`);
  if (row.deliveryMs) parts.push(`delivery ${delayText(row.deliveryMs)}`);
  if (row.appendMs) parts.push(`append ${delayText(row.appendMs)}`);
  add(row.events, (events) => `${formatCount(events)} events`);
  add(row.bytes, formatBytes);
  add(row.behind, (behind) => `${formatCount(behind)} behind`);
  if (row.rebuild?.state === 'running')
    parts.push(`rebuild ${row.rebuild.done}/${row.rebuild.total}`);
  return parts.join(', ');
}

function delayText(delay: Delay | null): string {
  return delay ? `p50 ${formatMs(delay.p50)}, p99 ${formatMs(delay.p99)}` : 'none now';
}
