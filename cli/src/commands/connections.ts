import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { integer, oneOf } from '../base/parse.ts';
import type { Api } from '../http/api.ts';
import { formatBytes, formatCount, formatDuration, formatSince } from '../output/format.ts';
import type { Output } from '../output/output.ts';
import { linesFor } from '../output/show-table.ts';
import type { Column } from '../output/table.ts';
import { command, does } from '../session/command.ts';
import type { Host } from '../session/context.ts';
import { watch } from '../session/watch.ts';

/** A connection as `GET /v1/admin/connections` lists it. */
interface Connection {
  readonly connection: string;
  readonly gateway: string;
  readonly sub: string;
  readonly transport: string;
  readonly connectedAt: string;
  readonly address: string;
  readonly subscriptions: readonly { readonly topics: readonly string[] }[];
  readonly subscriptionsLeftOut?: number;
  readonly cursor: string | null;
  readonly behind: number;
  readonly unsentBytes: number;
  readonly slow: { readonly reason: string; readonly sinceMs: number } | null;
}

interface Page {
  readonly items: readonly Connection[];
  readonly gateways: readonly { gateway: string; connections: number; answered: boolean }[];
  readonly next: string | null;
  readonly complete: boolean;
}

interface Options {
  readonly sub?: string;
  readonly at?: string;
  readonly transport?: string;
  readonly slow?: boolean;
  readonly limit: number;
  readonly watch?: boolean;
}

interface Found extends Pick<Page, 'items' | 'gateways'> {
  readonly isMore: boolean;
}

const PAGE_MAX = 1000;
const WATCH_MS = 1000;

/** `tidemark connections`. */
export function connectionsCommand(host: Host): Command {
  const made = command({
    usage: 'connections',
    summary: 'List who is connected, where each stands, and who is slow',
    description: 'Of all gateways. Needs a token with admin.',
    examples: [
      'tidemark connections',
      'tidemark connections --slow --watch',
      'tidemark connections --sub alice --json',
    ],
  })
    .option('--sub <user>', 'only those of this user')
    .option('--at <gateway>', 'only those at the gateway with this id')
    .option('--transport <name>', 'websocket or sse', oneOf('--transport', ['websocket', 'sse']))
    .option('--slow', 'only slow ones')
    .option('--limit <n>', 'at most this many', integer('--limit', 1, 100_000), 200)
    .option('--watch', 'show them anew each second, until Ctrl-C');
  return does<Options>(made, host, async (context, options) => {
    const { output } = context;
    const api = await context.api();
    if (options.watch) {
      if (!output.isTerminal || output.json) throw usageError('--watch needs a terminal.');
      await watch(context, WATCH_MS, async () => lines(output, await find(api, options)));
    }
    const found = await find(api, options);
    if (output.json) {
      for (const item of found.items) await output.data(item);
    } else for (const line of lines(output, found)) await output.line(line);
    for (const { gateway } of found.gateways.filter(({ answered }) => !answered)) {
      output.error(`The gateway ${gateway} did not answer in time: its connections are missing.`);
    }
  });
}

async function find(api: Api, options: Options): Promise<Found> {
  const { sub, at, transport, slow, limit } = options;
  const items: Connection[] = [];
  let after: string | undefined;
  for (;;) {
    const { body } = await api.send<Page>({
      service: 'gatewayAdmin',
      path: '/v1/admin/connections',
      query: {
        ...{ sub, gateway: at, transport, after },
        slow: slow ? 'true' : undefined,
        limit: String(Math.min(PAGE_MAX, limit - items.length)),
      },
    });
    items.push(...body.items);
    const { gateways, next } = body;
    if (next === null || items.length >= limit) return { items, gateways, isMore: next !== null };
    after = next;
  }
}

function lines(output: Output, { items, gateways, isMore }: Found): string[] {
  const nowMs = Date.now();
  const total = gateways.reduce((sum, { connections }) => sum + connections, 0);
  const summary = `${formatCount(items.length)} shown of ${formatCount(total)} at ${gateways.length} gateways${isMore ? '; --limit shows more' : ''}`;
  return [...linesFor(output, columns(output, nowMs), items), output.style('dim', summary)];
}

function columns(output: Output, nowMs: number): Column<Connection>[] {
  return [
    { title: 'USER', value: ({ sub }) => sub, flexible: true },
    { title: 'VIA', value: ({ transport }) => (transport === 'websocket' ? 'ws' : transport) },
    { title: 'SINCE', value: ({ connectedAt }) => formatSince(connectedAt, nowMs), align: 'right' },
    { title: 'TOPICS', value: topicsOf, flexible: true },
    { title: 'AT', value: ({ cursor }) => cursor ?? '' },
    { title: 'BEHIND', value: ({ behind }) => formatCount(behind), align: 'right' },
    { title: 'UNSENT', value: ({ unsentBytes }) => formatBytes(unsentBytes), align: 'right' },
    {
      title: 'STATE',
      value: ({ slow }) => (slow ? `${slow.reason} ${formatDuration(slow.sinceMs)}` : 'ok'),
      style: (text, { slow }) => output.style(slow ? 'yellow' : 'green', text),
    },
    { title: 'ID', value: ({ connection }) => connection, flexible: true },
  ];
}

function topicsOf({ subscriptions, subscriptionsLeftOut = 0 }: Connection): string {
  const topics = subscriptions.flatMap(({ topics }) => topics);
  return `${topics.join(' ')}${subscriptionsLeftOut > 0 ? ' …' : ''}`;
}
