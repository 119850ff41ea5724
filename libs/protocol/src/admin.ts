import { z } from 'zod';
import { parseTime } from './cursors.ts';
import { TidemarkError } from './errors.ts';
import { TIME_JSON, withJson } from './schemas.ts';

/** Longest `sub`, `jti` or connection id that an admin call may name. */
const NAME_LENGTH_MAX = 256;

/** The tokens that a revocation covers (PROTOCOL.md section 13.1). */
export type Revocation =
  | { readonly tokenId: string }
  | { readonly subject: string }
  /** Tokens of the subject that were issued before that time (ms since 1970), or that name no time. */
  | { readonly subject: string; readonly issuedBeforeMs: number };

/** The connections that a disconnect closes (PROTOCOL.md section 13.2). */
export type DisconnectTarget = { readonly subject: string } | { readonly connection: string };

const name = z.string().min(1).max(NAME_LENGTH_MAX);

/** The body of a revocation. */
export const revocationShape = z.union([
  z.strictObject({ jti: name }),
  z.strictObject({ sub: name, issuedBefore: withJson(z.string(), TIME_JSON).optional() }),
]);

/** The body of a disconnect. */
export const disconnectShape = z.union([
  z.strictObject({ sub: name }),
  z.strictObject({ connection: name }),
]);

/**
 * Reads the body of a revocation: `{"jti"}`, `{"sub"}` or `{"sub", "issuedBefore"}`.
 *
 * @throws TidemarkError `invalid_query` or `invalid_time`
 */
export function parseRevocation(input: unknown): Revocation {
  const { success, data } = revocationShape.safeParse(input);
  if (!success) throw wrong('{"jti"}, {"sub"} or {"sub", "issuedBefore"}');
  if ('jti' in data) return { tokenId: data.jti };
  const { sub: subject, issuedBefore } = data;
  return issuedBefore === undefined
    ? { subject }
    : { subject, issuedBeforeMs: parseTime(issuedBefore) };
}

/**
 * Reads the body of a disconnect: `{"sub"}` or `{"connection"}`.
 *
 * @throws TidemarkError `invalid_query`
 */
export function parseDisconnectTarget(input: unknown): DisconnectTarget {
  const { success, data } = disconnectShape.safeParse(input);
  if (!success) throw wrong('{"sub"} or {"connection"}');
  return 'sub' in data ? { subject: data.sub } : { connection: data.connection };
}

function wrong(shape: string): TidemarkError {
  return new TidemarkError(
    'invalid_query',
    `The body must be ${shape}, texts of 1 to ${NAME_LENGTH_MAX} characters.`,
  );
}
