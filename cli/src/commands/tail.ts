import type { Message } from '@tidemark/client';
import type { Command } from 'commander';
import { commaList, integer, oneOf } from '../base/parse.ts';
import { CursorFile } from '../events/cursor-file.ts';
import { type EventFormat, eventFormat, FORMAT_HELP } from '../events/event-format.ts';
import { gapText } from '../events/gap-text.ts';
import { connectClient } from '../session/client.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';

interface Options {
  readonly after?: string;
  readonly types?: string;
  readonly deliver?: 'all' | 'latest';
  readonly format?: string;
  readonly untilLive?: boolean;
  readonly count?: number;
  readonly cursorFile?: string;
}

/** `tidemark tail`. */
export function tailCommand(host: Host): Command {
  const made = command({
    usage: 'tail <topics...>',
    summary: 'Print events as they are stored, without losing one',
    description: [
      'topics are patterns: * stands for one token, > at the end for all further ones. After an outage it comes back by',
      'itself, where it was. Gaps and outages are told on stderr.\n\n--after is latest (if absent), earliest, last (the newest',
      'of each topic, then all later ones), a cursor, or an RFC 3339 time.',
    ].join(' '),
    examples: [
      `tidemark tail 'orders.*'`,
      `tidemark tail 'orders.>' --after last --format '{topic} {data.total}'`,
      `tidemark tail '>' --after 2026-01-31T08:00:00Z --types 'order.*' --until-live --json`,
      `tidemark tail 'orders.*' --cursor-file orders.cursor | ./handle`,
    ],
  })
    .option('--after <start>', 'where to begin')
    .option('--types <types>', 'only these CloudEvents types, separated by commas')
    .option(
      '--deliver <mode>',
      'latest: only the newest of each topic while behind',
      oneOf('--deliver', ['all', 'latest']),
    )
    .option('--format <format>', FORMAT_HELP)
    .option('--until-live', 'end once everything that was stored is printed')
    .option('--count <n>', 'end after this many events', integer('--count', 1, 1e12))
    .option('--cursor-file <path>', 'go on where the last run with this file ended');
  return does<Options>(made, host, async (context, options, topics) => {
    await tail(context, options, topics);
  });
}

async function tail(context: Context, options: Options, topics: readonly string[]): Promise<void> {
  const { signal } = context;
  const file = options.cursorFile === undefined ? undefined : new CursorFile(options.cursorFile);
  const printer = new Printer(context, options, file);
  const { types, deliver } = options;
  const after = file?.cursor ?? options.after;
  // The library would wait for ever: a wrong URL or token is told at once.
  await (await context.api()).send({ path: '/v1/head', attempts: 2 });
  const client = await connectClient(context);
  const subscription = client.subscribe(topics.flatMap(commaList), {
    ...(after !== undefined && { after }),
    ...(types !== undefined && { types: commaList(types) }),
    ...(deliver !== undefined && { deliver }),
    signal,
  });
  try {
    for await (const message of subscription.messages()) {
      await printer.print(message);
      if (printer.isDone) break;
    }
    signal.throwIfAborted();
  } finally {
    subscription.close();
    client.close();
    file?.flush();
  }
}

/** Prints what a subscription receives, until it has printed what the options ask for. */
class Printer {
  readonly #context: Context;
  readonly #options: Options;
  readonly #file: CursorFile | undefined;
  readonly #format: EventFormat;
  #count = 0;
  #isLive = false;

  constructor(context: Context, options: Options, file: CursorFile | undefined) {
    this.#context = context;
    this.#options = options;
    this.#file = file;
    this.#format = eventFormat(context.output, options.format);
  }

  get isDone(): boolean {
    const { count, untilLive } = this.#options;
    return this.#count === count || (this.#isLive && untilLive === true);
  }

  async print(message: Message): Promise<void> {
    if (message.type === 'event') {
      const { cursor, event, last } = message;
      await this.#context.output.line(this.#format({ cursor, event }));
      // Last events are no place to come back to (PROTOCOL 4.2).
      if (!last) this.#file?.move(cursor);
      this.#count++;
    } else if (message.type === 'live') {
      this.#isLive = true;
      this.#file?.move(message.cursor);
    } else this.#tell(message);
  }

  #tell(message: Exclude<Message, { type: 'event' | 'live' }>): void {
    const { output } = this.#context;
    if (message.type === 'gap') {
      output.error(output.messageStyle('yellow', gapText(message)));
    } else if (message.type === 'skipped') {
      output.message(output.messageStyle('dim', `skipped: ${message.count} events for newer ones`));
    } else output.message('reset: the newest events were cut off, and begin again');
  }
}
