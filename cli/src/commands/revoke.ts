import type { Command } from 'commander';
import { usageError } from '../base/errors.ts';
import { command, does } from '../session/command.ts';
import { confirm } from '../session/confirm.ts';
import type { Host } from '../session/context.ts';

interface Options {
  readonly sub?: string;
  readonly jti?: string;
  readonly issuedBefore?: string;
  readonly undo?: boolean;
  readonly yes?: boolean;
}

/** `tidemark revoke`. */
export function revokeCommand(host: Host): Command {
  const made = command({
    usage: 'revoke',
    summary: 'Make tokens invalid, and close what is connected with them',
    description:
      '--sub alone revokes all tokens of the user, also later ones, and asks before that. Needs a token with admin.',
    examples: [
      'tidemark revoke --jti 3f0c2a…',
      'tidemark revoke --sub alice --issued-before 2026-01-31T08:00:00Z',
      'tidemark revoke --sub alice --yes',
      'tidemark revoke --sub alice --undo',
    ],
  })
    .option('--sub <user>', 'tokens of this user')
    .option('--jti <id>', 'the token with this jti')
    .option(
      '--issued-before <time>',
      'with --sub: only those with an earlier iat; now is a time too',
    )
    .option('--undo', 'take the revocation back')
    .option('--yes', 'do not ask');
  return does<Options>(made, host, async (context, options) => {
    const { undo } = options;
    const body = bodyOf(options);
    if ('sub' in body && !('issuedBefore' in body) && !undo) {
      const question = `Revoke all tokens of ${JSON.stringify(body.sub)}, also later ones?`;
      await confirm(context, question, options.yes);
    }
    await (await context.api()).send({
      service: 'gatewayAdmin',
      method: undo ? 'DELETE' : 'POST',
      path: '/v1/admin/revocations',
      body,
      // Both are the same however often they are sent.
      attempts: 4,
    });
    if (context.output.json) await context.output.data({ [undo ? 'undone' : 'revoked']: body });
    else context.output.message(undo ? 'The revocation is taken back.' : 'It is revoked.');
  });
}

type Revocation = { jti: string } | { sub: string } | { sub: string; issuedBefore: string };

/** What is revoked (PROTOCOL 13.1). */
function bodyOf({ sub, jti, issuedBefore }: Options): Revocation {
  if (jti !== undefined && sub === undefined) {
    if (issuedBefore) throw usageError('--issued-before is for --sub.');
    return { jti };
  }
  if (sub === undefined || jti !== undefined) throw usageError('Either --sub or --jti is needed.');
  if (!issuedBefore) return { sub };
  return { sub, issuedBefore: issuedBefore === 'now' ? new Date().toISOString() : issuedBefore };
}
