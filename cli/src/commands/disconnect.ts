import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { command, does } from '../session/command.ts';
import type { Host } from '../session/context.ts';

/** `tidemark disconnect`. */
export function disconnectCommand(host: Host): Command {
  const made = command({
    usage: 'disconnect',
    summary: 'Close connections of a user, or one connection, on every gateway',
    description:
      'The clients may come back; `tidemark revoke` keeps them out. Needs a token with admin.',
    examples: ['tidemark disconnect --sub alice', 'tidemark disconnect --connection ID'],
  })
    .option('--sub <user>', 'all connections of this user')
    .option('--connection <id>', 'the connection with this id');
  return does<{ sub?: string; connection?: string }>(made, host, async (context, options) => {
    const { sub, connection } = options;
    if ((sub === undefined) === (connection === undefined)) {
      throw usageError('Either --sub or --connection is needed.');
    }
    const body = sub === undefined ? { connection } : { sub };
    const request = {
      service: 'gatewayAdmin',
      method: 'POST',
      path: '/v1/admin/disconnect',
    } as const;
    await (await context.api()).send({ ...request, body });
    if (context.output.json) await context.output.data({ sent: body });
    else context.output.message('Every gateway is told to close them.');
  });
}
