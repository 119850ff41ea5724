import { isPattern } from '@tidemark/protocol';
import { z } from 'zod';
import { ACTIONS, type Principal } from './permissions.ts';

const storedPrincipal = z.object({
  subject: z.string(),
  grants: z.array(z.object({ action: z.enum(ACTIONS), pattern: z.string().refine(isPattern) })),
  admin: z.boolean(),
  expiresAtMs: z.number(),
  issuedAtMs: z.number().optional(),
  tokenId: z.string().optional(),
});

/**
 * Reads a principal that was stored as JSON, such as the holder of a ticket.
 *
 * @returns `undefined` where the value is not one
 */
export function parsePrincipal(value: unknown): Principal | undefined {
  const { data } = storedPrincipal.safeParse(value);
  if (!data) return undefined;
  const { issuedAtMs, tokenId, ...principal } = data;
  return {
    ...principal,
    ...(issuedAtMs !== undefined && { issuedAtMs }),
    ...(tokenId !== undefined && { tokenId }),
  };
}
