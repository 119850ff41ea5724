import type { Command } from 'commander';
import { CliError } from '../base/errors.ts';
import { wait } from '../base/wait.ts';
import type { Api } from '../http/api.ts';
import { ServiceError } from '../http/service-error.ts';
import { formatCount } from '../output/format.ts';
import { Progress } from '../output/progress.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';

/** How far a rebuild is (PROTOCOL 13.4). */
interface Status {
  readonly state: 'running' | 'complete' | 'failed' | 'cancelled';
  readonly done: number;
  readonly total: number;
  readonly unreadable: number;
  readonly reason?: string;
}

const REBUILD = { service: 'replayAdmin', path: '/v1/admin/rebuild' } as const;
const POLL_MS = 250;

/** `tidemark rebuild`. */
export function rebuildCommand(host: Host): Command {
  const made = command({
    usage: 'rebuild',
    summary: 'Make a new archive beside that of a replay service, and exchange the two',
    description:
      'The service answers meanwhile, and gives the same answers afterwards. Where one runs already, its progress is shown. Ctrl-C leaves it running; --cancel ends it, and nothing has changed then. Needs a token with admin.',
    examples: ['tidemark rebuild', 'tidemark rebuild --status', 'tidemark rebuild --cancel'],
  })
    .option('--cancel', 'end the one that runs')
    .option('--status', 'only tell how far it is, or how the last one ended');
  return does<{ cancel?: boolean; status?: boolean }>(made, host, async (context, options) => {
    const { output } = context;
    const api = await context.api();
    if (options.cancel || options.status) {
      const method = options.cancel ? 'DELETE' : 'GET';
      const { body } = await api.send<Status>({ ...REBUILD, method });
      if (output.json) return output.data(body);
      return output.line(describe(body));
    }
    const status = await follow(context, api, await begin(context, api));
    if (output.json) await output.data(status);
    if (status.state !== 'complete') {
      throw new CliError(`The archive stays as it is: ${status.reason ?? status.state}`);
    }
    if (!output.json) output.message(describe(status));
  });
}

async function begin({ output }: Context, api: Api): Promise<Status> {
  try {
    return (await api.send<Status>({ ...REBUILD, method: 'POST' })).body;
  } catch (error) {
    if (!(error instanceof ServiceError) || error.code !== 'conflict') throw error;
    output.message('One runs already.');
    return (await api.send<Status>(REBUILD)).body;
  }
}

async function follow({ output, signal }: Context, api: Api, first: Status): Promise<Status> {
  const progress = new Progress(output, 'Rebuilding');
  let status = first;
  try {
    while (status.state === 'running') {
      const { done, total } = status;
      progress.show(
        total > 0 ? done / total : undefined,
        `${formatCount(done)} of ${formatCount(total)}`,
      );
      await wait(POLL_MS, signal);
      status = (await api.send<Status>(REBUILD)).body;
    }
    return status;
  } finally {
    progress.clear();
  }
}

function describe({ state, done, total, unreadable, reason }: Status): string {
  const lost = unreadable > 0 ? ` ${unreadable} events were unreadable, and are missing now.` : '';
  if (state === 'complete')
    return `The archive is rebuilt: ${formatCount(total)} events of the log.${lost}`;
  if (state === 'running') return `It runs: ${formatCount(done)} of ${formatCount(total)} events.`;
  return `It is ${state}${reason ? `: ${reason}` : ''}. The archive stays as it was.`;
}
