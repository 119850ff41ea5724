import type { Command } from 'commander';
import { commaList, integer } from '../base/parse.ts';
import { formatCount } from '../output/format.ts';
import { safeText } from '../output/safe-text.ts';
import { showTable } from '../output/show-table.ts';
import type { Column } from '../output/table.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';
import { allPages } from '../session/pages.ts';

interface Topic {
  readonly topic: string;
  readonly count: number;
  readonly first: string;
  readonly last: string;
}

interface Options {
  readonly tree?: boolean;
  readonly limit?: number;
}

/** Most topics that a table or a tree holds in memory. */
const LIMIT = 10_000;

/** `tidemark topics`. */
export function topicsCommand(host: Host): Command {
  const made = command({
    usage: 'topics [patterns...]',
    summary: 'List topics with their numbers of events',
    examples: ['tidemark topics', `tidemark topics 'orders.>' --tree`, 'tidemark topics --json'],
  })
    .option('--tree', 'show them as a tree')
    .option('--limit <n>', `at most this many (default: ${LIMIT})`, integer('--limit', 1, 1e9));
  return does<Options>(made, host, async (context, { tree, limit = LIMIT }, patterns) => {
    const { output } = context;
    const topics: Topic[] = [];
    let more = false;
    const request = {
      path: '/v1/topics',
      query: { topics: patterns.flatMap(commaList).join(',') },
    };
    for await (const topic of allPages<Topic>(await context.api(), request)) {
      more = topics.length === limit;
      if (more) break;
      if (output.json) await output.data(topic);
      topics.push(topic);
    }
    if (more) output.message(`There are more; --limit shows them.`);
    if (output.json) return;
    if (tree) await showTree(context, topics);
    else await showTable(output, COLUMNS, topics);
  });
}

const COLUMNS: readonly Column<Topic>[] = [
  { title: 'TOPIC', value: ({ topic }) => topic, flexible: true },
  { title: 'EVENTS', value: ({ count }) => formatCount(count), align: 'right' },
  { title: 'LAST', value: ({ last }) => last },
];

interface Branch {
  total: number;
  readonly below: Map<string, Branch>;
}

async function showTree({ output }: Context, topics: readonly Topic[]): Promise<void> {
  const root: Branch = { total: 0, below: new Map() };
  for (const { topic, count } of topics) {
    let branch = root;
    for (const token of topic.split('.')) {
      const next = branch.below.get(token) ?? { total: 0, below: new Map() };
      branch.below.set(token, next);
      next.total += count;
      branch = next;
    }
  }
  for (const line of treeLines(root, '')) {
    await output.line(
      `${output.style('dim', line.rail)}${line.name} ${output.style('cyan', line.count)}`,
    );
  }
}

function treeLines(
  { below }: Branch,
  indent: string,
): { rail: string; name: string; count: string }[] {
  const entries = [...below];
  return entries.flatMap(([name, branch], index) => {
    const isLast = index === entries.length - 1;
    const rail = `${indent}${isLast ? '└─ ' : '├─ '}`;
    const line = { rail, name: safeText(name), count: formatCount(branch.total) };
    return [line, ...treeLines(branch, `${indent}${isLast ? '   ' : '│  '}`)];
  });
}
