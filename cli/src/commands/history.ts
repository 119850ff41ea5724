import type { Command } from 'commander';
import { commaList, integer, oneOf } from '../base/parse.ts';
import { eventFormat, FORMAT_HELP, type Stored } from '../events/event-format.ts';
import { gapText } from '../events/gap-text.ts';
import type { Api } from '../http/api.ts';
import { command, does } from '../session/command.ts';
import type { Host } from '../session/context.ts';

interface Options {
  readonly after?: string;
  readonly before?: string;
  readonly from?: string;
  readonly to?: string;
  readonly types?: string;
  readonly source?: string;
  readonly id?: string;
  readonly order?: 'asc' | 'desc';
  readonly limit?: number;
  readonly atLeast?: string;
  readonly format?: string;
}

interface Page {
  readonly items: readonly Stored[];
  readonly gaps: readonly { from: string; to: string; reason: string }[];
  readonly next: string;
  readonly complete: boolean;
}

const PAGE_EVENTS = 1000;

/** `tidemark history`. */
export function historyCommand(host: Host): Command {
  const made = command({
    usage: 'history [topics...]',
    summary: 'Print what the log holds, page after page',
    description: 'Without topics it is everything that the token may see. Gaps are told on stderr.',
    examples: [
      `tidemark history 'orders.*' --order desc --limit 10`,
      `tidemark history 'orders.>' --from 2026-01-31T00:00:00Z --to 2026-02-01T00:00:00Z > day.ndjson`,
      `tidemark history --types 'order.*' --source /shop --format '{time} {topic} {data.total}'`,
    ],
  })
    .option('--after <start>', 'earliest, last, a cursor, or an RFC 3339 time')
    .option('--before <cursor>', 'only events before it')
    .option('--from <time>', 'only what was stored then or later')
    .option('--to <time>', 'only what was stored before')
    .option('--types <types>', 'only these CloudEvents types, separated by commas')
    .option('--source <uri>', 'only events of this source')
    .option('--id <id>', 'with --source: only events with this id')
    .option('--order <order>', 'asc or desc', oneOf('--order', ['asc', 'desc']))
    .option('--limit <n>', 'at most this many events; all if absent', integer('--limit', 1, 1e12))
    .option('--at-least <cursor>', 'wait until the archive has it')
    .option('--format <format>', FORMAT_HELP);
  return does<Options>(made, host, async (context, options, topics) => {
    const { output } = context;
    // Loaded here, because it takes a while that other commands do without.
    const { parseExact, stringifyExact } = await import('@tidemark/protocol');
    const format = eventFormat(output, options.format, stringifyExact);
    const api = await context.api();
    for await (const page of pages(api, options, topics.flatMap(commaList), parseExact)) {
      for (const gap of page.gaps) output.error(output.messageStyle('yellow', gapText(gap)));
      for (const item of page.items) await output.line(format(item));
    }
  });
}

async function* pages(
  api: Api,
  options: Options,
  topics: readonly string[],
  parse: (text: string) => unknown,
): AsyncGenerator<Page> {
  const { from, to, source, id, order, atLeast, types } = options;
  const isDown = order === 'desc';
  let { after, before, limit: left = Number.POSITIVE_INFINITY } = options;
  while (left > 0) {
    const { body } = await api.send<Page>({
      service: 'replay',
      path: '/v1/events',
      parse,
      query: {
        topics: topics.join(','),
        type: types,
        limit: String(Math.min(PAGE_EVENTS, left)),
        ...{ after, before, from, to, source, id, order, atLeast },
      },
    });
    yield body;
    left -= body.items.length;
    if (body.complete) return;
    if (isDown) before = body.next;
    else after = body.next;
  }
}
