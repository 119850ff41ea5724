import { spawn } from 'node:child_process';
import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { parseDuration } from '../base/parse.ts';
import { LOCAL_SCOPE, makeLocalToken } from '../profile/local.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';

interface Options {
  readonly open?: boolean;
  readonly ttl?: string;
}

/** `tidemark console`. */
export function consoleCommand(host: Host): Command {
  const made = command({
    usage: 'console',
    summary: 'Print the address of the console, with a token',
    description:
      'The page takes the token out of its address at once. With the profile local the token is made here and is short-lived; otherwise it is the one that commands use, so keep the address to yourself.',
    examples: ['tidemark console', 'tidemark console --open', 'tidemark console --ttl 8h'],
  })
    .option('--open', 'open it in the browser')
    .option(
      '--ttl <duration>',
      'with the profile local: how long the token is valid (default: 1h)',
    );
  return does<Options>(made, host, async (context, options) => {
    const { output } = context;
    const { urls } = await context.target();
    const token = await tokenFor(context, options.ttl);
    const url = `${urls.gatewayAdmin}/console/#token=${token}`;
    if (output.json) await output.data({ url });
    else await output.line(url);
    if (options.open) openBrowser(context, url);
  });
}

async function tokenFor(context: Context, ttl: string | undefined): Promise<string> {
  const { isTokenMade, token } = await context.target();
  const { environment, options } = context;
  if (isTokenMade) {
    const subject = options.as ?? 'operator';
    const ttlSeconds = parseDuration(ttl ?? '1h');
    return makeLocalToken(environment, { subject, scope: LOCAL_SCOPE, ttlSeconds });
  }
  if (ttl !== undefined)
    throw usageError('--ttl is for the profile local, whose tokens are made here.');
  return token.get();
}

function openBrowser({ output }: Context, url: string): void {
  const programs: Readonly<Record<string, readonly string[]>> = {
    darwin: ['open'],
    win32: ['cmd', '/c', 'start', ''],
  };
  const [program = '', ...args] = programs[process.platform] ?? ['xdg-open'];
  const child = spawn(program, [...args, url], { stdio: 'ignore', detached: true });
  child.once('error', () => output.error(`No browser could be opened with ${program}.`));
  child.unref();
}
