import { covers, isPattern, TidemarkError } from '@tidemark/protocol';

/** What a token may permit on a pattern of topics. */
export const ACTIONS = ['subscribe', 'publish', 'history', 'inbox'] as const;
export type Action = (typeof ACTIONS)[number];

/** One scope word such as `subscribe:orders.*`. */
export interface Grant {
  readonly action: Action;
  readonly pattern: string;
}

/** Who is asking, as a verified token says. */
export interface Principal {
  readonly subject: string;
  readonly grants: readonly Grant[];
  /** The scope word `admin`. It permits admin calls, and no topic. */
  readonly admin: boolean;
  /** The token's `exp`, with the tolerated difference of clocks. */
  readonly expiresAtMs: number;
  /** The token's `iat`, where it has one. */
  readonly issuedAtMs?: number;
  /** The token's `jti`, where it has one. */
  readonly tokenId?: string;
}

/** Reads the `scope` claim; words that are unknown or malformed grant nothing. */
export function parseScope(scope: string): Pick<Principal, 'grants' | 'admin'> {
  const words = scope.split(' ');
  const grants = words.flatMap((word) => parseGrant(word) ?? []);
  return { grants, admin: words.includes('admin') };
}

/**
 * Whether one granted pattern covers the whole of the asked one. Several grants that only together
 * cover it do not: the answer would depend on topics that do not exist yet.
 */
export function permits(principal: Principal, action: Action, pattern: string): boolean {
  return principal.grants.some(
    (grant) => grant.action === action && covers(grant.pattern, pattern),
  );
}

export function isAdmin(principal: Principal): boolean {
  return principal.admin;
}

/** @throws TidemarkError `forbidden` */
export function requireAdmin(principal: Principal): void {
  if (!isAdmin(principal)) throw new TidemarkError('forbidden', 'The token does not permit admin.');
}

/** @throws TidemarkError `forbidden`, naming the action and the pattern */
export function requirePermission(principal: Principal, action: Action, pattern: string): void {
  if (permits(principal, action, pattern)) return;
  throw new TidemarkError('forbidden', `The token does not permit ${action}:${pattern}.`);
}

/** @throws TidemarkError `token_expired`, where some time has passed since the token was checked */
export function requireUnexpired({ expiresAtMs }: Principal, nowMs: number): void {
  if (expiresAtMs > nowMs) return;
  throw new TidemarkError('token_expired', 'The token has expired.');
}

/** @returns `undefined` for a word that grants nothing on topics */
export function parseGrant(word: string): Grant | undefined {
  const colon = word.indexOf(':');
  const action = ACTIONS.find((known) => known === word.slice(0, colon));
  const pattern = word.slice(colon + 1);
  return action !== undefined && isPattern(pattern) ? { action, pattern } : undefined;
}
