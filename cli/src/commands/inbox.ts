import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { commaList, integer, oneOf } from '../base/parse.ts';
import { formatCount } from '../output/format.ts';
import { showTable } from '../output/show-table.ts';
import type { Column } from '../output/table.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';

interface Item {
  readonly cursor: string;
  readonly event: Readonly<Record<string, unknown>>;
  readonly state: { seen: boolean; read: boolean; archived: boolean; snoozed?: string };
}

interface Counts {
  readonly unseen: number;
  readonly unread: number;
  readonly more: boolean;
}

interface Rule {
  readonly pattern: string;
  readonly types?: readonly string[];
  readonly permitted?: boolean;
}

const STATES = ['unseen', 'unread', 'read', 'archived', 'snoozed', 'all'] as const;
const MARKS = ['seen', 'read', 'archived', 'unread', 'unarchived', 'snoozed'] as const;
const CHANGES = ['follow', 'unfollow', 'mute', 'unmute'] as const;
const WHO =
  'The inbox is that of the user of the token; with the profile local, --as names the user.';

/** `tidemark inbox`, with its commands. */
export function inboxCommand(host: Host): Command {
  const made = command({
    usage: 'inbox',
    summary: 'Show the inbox of a user, and change its marks and follows',
    description: WHO,
    examples: [
      'tidemark inbox --as alice',
      'tidemark inbox counts --as alice',
      'tidemark inbox follow orders.42 --as alice',
      'tidemark inbox mark read --up-to CURSOR --as alice',
    ],
  });
  made.addCommand(listCommand(host), { isDefault: true });
  made
    .addCommand(countsCommand(host))
    .addCommand(markCommand(host))
    .addCommand(followsCommand(host));
  for (const change of CHANGES) made.addCommand(changeCommand(host, change));
  return made;
}

const ITEM_COLUMNS: readonly Column<Item>[] = [
  { title: '', value: ({ state }) => (state.read ? '' : state.seen ? '○' : '●') },
  { title: 'TIME', value: ({ event }) => String(event.time ?? '').slice(0, 19) },
  { title: 'TOPIC', value: ({ event }) => String(event.topic), flexible: true },
  { title: 'DATA', value: ({ event }) => JSON.stringify(event.data ?? null), flexible: true },
  { title: 'CURSOR', value: ({ cursor }) => cursor },
];

function listCommand(host: Host): Command {
  const made = command({
    usage: 'list',
    summary: 'List items, the newest first',
    description: '● is an item that has not been seen, ○ one that has been seen and not read.',
    examples: ['tidemark inbox list --state unread --limit 20 --as alice'],
  })
    .option('--state <state>', STATES.join(', '), oneOf('--state', STATES))
    .option('--topics <patterns>', 'only items of these')
    .option('--types <types>', 'only items of these')
    .option(
      '--group <by>',
      'only the newest of each topic or subject',
      oneOf('--group', ['topic', 'subject']),
    )
    .option('--limit <n>', 'at most this many', integer('--limit', 1, 100_000), 100)
    .option('--sub <user>', 'the inbox of another user; needs admin');
  return does<{ limit: number } & Record<string, string>>(made, host, async (context, options) => {
    const { output } = context;
    const { state, topics, types, group, sub } = options;
    const api = await context.api();
    const items: Item[] = [];
    let before: string | undefined;
    let counts: Counts | undefined;
    while (items.length < options.limit) {
      const limit = String(Math.min(1000, options.limit - items.length));
      const { body } = await api.send<Counts & { items: Item[]; next: string | null }>({
        service: 'replay',
        path: '/v1/inbox',
        query: { state, topics, types, group, sub, limit, before },
      });
      counts ??= body;
      for (const item of body.items) {
        if (output.json) await output.data(item);
        items.push(item);
      }
      if (body.next === null) break;
      before = body.next;
    }
    if (output.json) return;
    await showTable(output, ITEM_COLUMNS, items);
    if (counts) output.message(countsText(counts));
  });
}

function countsCommand(host: Host): Command {
  const made = command({
    usage: 'counts',
    summary: 'Print how many items are unseen and unread',
    examples: ['tidemark inbox counts --json --as alice'],
  }).option('--sub <user>', 'the inbox of another user; needs admin');
  return does<{ sub?: string }>(made, host, async (context, { sub }) => {
    const request = { service: 'replay', path: '/v1/inbox/counts', query: { sub } } as const;
    const { body } = await (await context.api()).send<Counts>(request);
    if (context.output.json) await context.output.data(body);
    else await context.output.line(countsText(body));
  });
}

function markCommand(host: Host): Command {
  const made = command({
    usage: 'mark <mark> [cursors...]',
    summary: `Mark items: ${MARKS.join(', ')}`,
    examples: [
      'tidemark inbox mark read --up-to CURSOR --as alice',
      'tidemark inbox mark archived CURSOR CURSOR --as alice',
      'tidemark inbox mark snoozed CURSOR --until 2026-02-01T08:00:00Z --as alice',
    ],
  })
    .option('--up-to <cursor>', 'all items up to this one')
    .option('--until <time>', 'with snoozed: when they come back');
  return does<{ upTo?: string; until?: string }>(made, host, async (context, options, args) => {
    const [word = '', ...cursors] = args;
    const mark = oneOf('mark', MARKS)(word);
    const { upTo, until } = options;
    if ((upTo === undefined) === (cursors.length === 0)) {
      throw usageError('Either cursors or --up-to is needed.');
    }
    await change(context, '/v1/inbox/marks', {
      mark,
      ...(upTo ? { upTo } : { cursors: cursors.flatMap(commaList) }),
      ...(until && { until }),
    });
  });
}

function followsCommand(host: Host): Command {
  const made = command({
    usage: 'follows',
    summary: 'List what the user follows and has muted',
    examples: ['tidemark inbox follows --as alice'],
  }).option('--sub <user>', 'the inbox of another user; needs admin');
  return does<{ sub?: string }>(made, host, async (context, { sub }) => {
    const { output } = context;
    const request = { service: 'replay', path: '/v1/inbox/follows', query: { sub } } as const;
    const { body } = await (await context.api()).send<{
      topics: string[];
      follows: Rule[];
      mutes: Rule[];
    }>(request);
    if (output.json) return output.data(body);
    const rows = [
      ...body.topics.map((pattern) => ({ kind: 'own', pattern })),
      ...body.follows.map((rule) => ({
        kind: rule.permitted ? 'follows' : 'not permitted',
        ...rule,
      })),
      ...body.mutes.map((rule) => ({ kind: 'muted', ...rule })),
    ];
    await showTable<{ kind: string } & Rule>(
      output,
      [
        { title: 'KIND', value: ({ kind }) => kind },
        { title: 'PATTERN', value: ({ pattern }) => pattern, flexible: true },
        { title: 'TYPES', value: ({ types }) => (types ?? []).join(','), flexible: true },
      ],
      rows,
    );
  });
}

const SUMMARIES: Readonly<Record<(typeof CHANGES)[number], string>> = {
  follow: 'Make events of a pattern items from now on',
  unfollow: 'End a follow',
  mute: 'Hide items of a pattern',
  unmute: 'End a mute',
};

function changeCommand(host: Host, word: (typeof CHANGES)[number]): Command {
  const made = command({
    usage: `${word} <pattern>`,
    summary: SUMMARIES[word],
    examples: [`tidemark inbox ${word} 'orders.*' --as alice`],
  }).option('--types <types>', 'only events of these types');
  return does<{ types?: string }>(made, host, async (context, { types }, [pattern]) => {
    await change(context, '/v1/inbox/follows', {
      change: word,
      pattern,
      ...(types && { types: commaList(types) }),
    });
  });
}

async function change({ output, api }: Context, path: string, body: object): Promise<void> {
  const answer = await (await api()).send<Counts & { changed: string | null }>({
    service: 'replay',
    method: 'POST',
    path,
    // The id makes a repeat safe, so that it may be tried again.
    body: { ...body, id: crypto.randomUUID() },
    attempts: 4,
  });
  if (output.json) return output.data(answer.body);
  if (answer.body.changed === null) output.message('Nothing was to change.');
  await output.line(countsText(answer.body));
}

function countsText({ unseen, unread, more }: Counts): string {
  return `${formatCount(unread)}${more ? '+' : ''} unread, ${formatCount(unseen)} unseen`;
}
