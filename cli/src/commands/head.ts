import type { Command } from 'commander';
import { CliError } from '../base/errors.ts';
import { oneOf } from '../base/parse.ts';
import { command, does } from '../session/command.ts';
import type { Host } from '../session/context.ts';

interface Options {
  readonly topics?: string;
  readonly at: 'gateway' | 'replay';
}

/** `tidemark head`. */
export function headCommand(host: Host): Command {
  const made = command({
    usage: 'head',
    summary: 'Print the cursor of the end of the log',
    description:
      'With --topics it is the cursor of the newest event of these topics, and the exit code is 1 where there is none.',
    examples: ['tidemark head', `tidemark head --topics 'orders.*'`, 'tidemark head --at replay'],
  })
    .option('--topics <patterns>', 'patterns, separated by commas')
    .option(
      '--at <service>',
      'gateway, or replay: the end of the archive',
      oneOf('--at', ['gateway', 'replay']),
      'gateway',
    );
  return does<Options>(made, host, async (context, { topics, at }) => {
    const { output } = context;
    const api = await context.api();
    const { body } = await api.send<{ cursor: string; last?: string | null }>({
      service: at,
      path: '/v1/head',
      query: { topics },
    });
    if (output.json) await output.data(body);
    else if (topics === undefined) await output.line(body.cursor);
    else if (body.last) await output.line(body.last);
    if (topics !== undefined && !body.last) {
      throw new CliError(`The log has no event of ${topics}.`, { code: 'not_found' });
    }
  });
}
