import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { parseDuration } from '../base/parse.ts';
import { openInput, readText } from '../input/chunks.ts';
import { formatDuration } from '../output/format.ts';
import { safeText } from '../output/safe-text.ts';
import { makeLocalToken } from '../profile/local.ts';
import { claimsOf, headerOf } from '../profile/token-source.ts';
import { command, does } from '../session/command.ts';
import type { Context, Host } from '../session/context.ts';

interface Options {
  readonly sub?: string;
  readonly scope?: string;
  readonly ttl: string;
}

const TOKEN_BYTES_MAX = 64 * 1024;

/** `tidemark token` and `tidemark token inspect`. */
export function tokenCommand(host: Host): Command {
  const made = command({
    usage: 'token',
    summary: 'Print a token that the services of this checkout accept',
    examples: [
      'tidemark token --sub alice --scope "subscribe:orders.> publish:orders.>"',
      'tidemark token --sub operator --scope admin --ttl 15m',
      'tidemark token inspect',
    ],
  })
    .option('--sub <user>', 'the user')
    .option('--scope <permissions>', 'permissions with spaces between')
    .option('--ttl <duration>', 'how long it is valid: 90s, 15m, 1h, 30d', '1h');
  does<Options>(made, host, async (context, { sub, scope, ttl }) => {
    if (!sub || !scope) throw usageError('--sub and --scope are needed.');
    const ttlSeconds = parseDuration(ttl);
    const { environment, output } = context;
    const token = await makeLocalToken(environment, { subject: sub, scope, ttlSeconds });
    if (output.json) await output.data({ token, expiresAt: claimTime(claimsOf(token)?.exp) });
    else await output.line(token);
  });
  return made.addCommand(inspectCommand(host));
}

function inspectCommand(host: Host): Command {
  const made = command({
    usage: 'inspect [token]',
    summary: 'Show what a token says',
    description:
      'Without an argument it is the token that commands use; - reads it from stdin. The signature is not checked: --check asks a gateway.',
    examples: [
      'tidemark token inspect',
      'pbpaste | tidemark token inspect -',
      'tidemark token inspect --check',
    ],
  }).option('--check', 'ask the gateway whether it accepts the token');
  return does<{ check?: boolean }>(made, host, async (context, { check }, [given]) => {
    const token = await tokenToInspect(context, given);
    const claims = claimsOf(token);
    if (!claims) throw usageError('That is no JWT: it has no claims that can be read.');
    await show(context, headerOf(token) ?? {}, claims);
    if (check) await checkToken(context, token);
  });
}

async function tokenToInspect(context: Context, given: string | undefined): Promise<string> {
  const { stdin, signal } = context;
  if (given === '-') return (await readText(openInput('-', stdin, signal), TOKEN_BYTES_MAX)).trim();
  return given ?? (await (await context.target()).token.get());
}

async function show(
  { output }: Context,
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
): Promise<void> {
  if (output.json) return output.data({ header, claims });
  const nowMs = Date.now();
  const rows: [string, string][] = [
    ['user', String(claims.sub ?? '(none)')],
    ...scopeOf(claims).map((word, index): [string, string] => [index === 0 ? 'may' : '', word]),
    ['issued', timeText(claims.iat, nowMs)],
    ['expires', timeText(claims.exp, nowMs)],
    ['signed', `${header.alg ?? '?'}${header.kid ? `, key ${header.kid}` : ''}`],
    ...Object.entries(claims)
      .filter(([name]) => !['sub', 'scope', 'iat', 'exp'].includes(name))
      .map(([name, value]): [string, string] => [name, text(value)]),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  for (const [name, value] of rows) {
    await output.line(`${output.style('dim', name.padEnd(width))}  ${safeText(value)}`);
  }
}

async function checkToken(context: Context, token: string): Promise<void> {
  const { urls } = await context.target();
  const { Api } = await import('../http/api.ts');
  const { fixedToken } = await import('../profile/token-source.ts');
  const api = new Api({ urls, token: fixedToken(token), signal: context.signal });
  await api.send({ path: '/v1/head' });
  context.output.message(`${urls.gateway} accepts it.`);
}

function scopeOf({ scope }: Record<string, unknown>): string[] {
  if (Array.isArray(scope)) return scope.map(String);
  return typeof scope === 'string' && scope !== '' ? scope.split(/\s+/) : ['(nothing)'];
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function claimTime(claim: unknown): string | undefined {
  return typeof claim === 'number' ? new Date(claim * 1000).toISOString() : undefined;
}

function timeText(claim: unknown, nowMs: number): string {
  const time = claimTime(claim);
  if (time === undefined || typeof claim !== 'number') return '(not said)';
  const ms = claim * 1000 - nowMs;
  return ms < 0 ? `${time}, ${formatDuration(-ms)} ago` : `${time}, in ${formatDuration(ms)}`;
}
