import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { wait } from '../base/wait.ts';
import { formatCount } from '../output/format.ts';
import { command, does } from '../session/command.ts';
import { confirm } from '../session/confirm.ts';
import type { Host } from '../session/context.ts';

interface Options {
  readonly cursor?: string;
  readonly source?: string;
  readonly id?: string;
  readonly topic?: string;
  readonly reason: string;
  readonly yes?: boolean;
}

interface Status {
  readonly cursor: string | null;
  readonly events: number;
  readonly complete: boolean;
}

const POLL_MS = 500;

/** `tidemark erase`. */
export function eraseCommand(host: Host): Command {
  const made = command({
    usage: 'erase',
    summary: 'Erase events for good, from the stream, the archives and their disks',
    description:
      'It asks before that, and waits until nothing is left. Backups and mirrors keep their copies. Prints the cursor of the record. Needs a token with admin.',
    examples: [
      'tidemark erase --cursor CURSOR --reason "a wrong address"',
      'tidemark erase --source /shop --id 42 --reason "asked for on 12 May"',
      'tidemark erase --topic user.alice.inbox --reason "asked for on 12 May" --yes',
    ],
  })
    .option('--cursor <cursor>', 'the event at this cursor')
    .option('--source <uri>', 'with --id: all events with these')
    .option('--id <id>', 'with --source')
    .option('--topic <topic>', 'everything that the topic has')
    .requiredOption('--reason <text>', 'why; the record keeps it')
    .option('--yes', 'do not ask');
  return does<Options>(made, host, async (context, options) => {
    const { output, signal } = context;
    const { reason, yes } = options;
    const target = targetOf(options);
    const { urls } = await context.target();
    await confirm(context, `Erase ${JSON.stringify(target)} at ${urls.replayAdmin} for good?`, yes);
    const api = await context.api();
    const request = { service: 'replayAdmin', path: '/v1/admin/erasures' } as const;
    const body = { ...target, reason };
    // A repeat answers with the record that there is.
    const first = await api.send<Status>({ ...request, method: 'POST', body, attempts: 4 });
    let status = first.body;
    while (!status.complete && status.cursor) {
      output.message(`${formatCount(status.events)} events are erased so far …`);
      await wait(POLL_MS, signal);
      const path = `${request.path}/${status.cursor}`;
      status = (await api.send<Status>({ ...request, path })).body;
    }
    if (output.json) return output.data(status);
    if (status.cursor === null) output.message('There is no such event.');
    else {
      output.message(`${formatCount(status.events)} events are erased.`);
      await output.line(status.cursor);
    }
  });
}

function targetOf({ cursor, source, id, topic }: Options): Record<string, string> {
  const pair = source !== undefined && id !== undefined;
  if (!pair && (source !== undefined || id !== undefined)) {
    throw usageError('--source and --id go together.');
  }
  const targets = [
    ...(cursor === undefined ? [] : [{ cursor }]),
    ...(pair ? [{ source, id }] : []),
    ...(topic === undefined ? [] : [{ topic }]),
  ];
  const [target] = targets;
  if (target && targets.length === 1) return target;
  throw usageError('One of --cursor, --topic, or --source with --id is needed.');
}
