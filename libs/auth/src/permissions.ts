import { covers, inboxTopic, isPattern, subjectOfNotices, TidemarkError } from '@tidemark/protocol';

/** What a token may permit on a pattern of topics. */
export const ACTIONS = ['subscribe', 'publish', 'history', 'inbox'] as const;
/** An action that a token may permit: one of `ACTIONS`. */
export type Action = (typeof ACTIONS)[number];

/** One scope word such as `subscribe:orders.*`. */
export interface Grant {
  readonly action: Action;
  readonly pattern: string;
}

/** The user of a request, as a verified token names it. */
export interface Principal {
  readonly subject: string;
  readonly grants: readonly Grant[];
  /** The scope word `admin`. It permits admin calls, and no topic. */
  readonly admin: boolean;
  /** The token's `exp` plus the clock tolerance, in milliseconds since 1970. */
  readonly expiresAtMs: number;
  /** The token's `iat` in milliseconds since 1970, where it has one. */
  readonly issuedAtMs?: number;
  /** The token's `jti`, where it has one. */
  readonly tokenId?: string;
}

/**
 * Reads the `scope` claim. Words that are unknown or malformed grant nothing.
 *
 * @example parseScope('subscribe:orders.* admin')
 */
export function parseScope(scope: string): Pick<Principal, 'grants' | 'admin'> {
  const words = scope.split(' ');
  const grants = words.flatMap((word) => parseGrant(word) ?? []);
  return { grants, admin: words.includes('admin') };
}

/**
 * What follows from the grants of a user: who may use the own inbox may also subscribe to its topic and read the
 * history of that.
 *
 * @returns the grants, with those that follow from them
 */
export function withInbox(subject: string, grants: readonly Grant[]): readonly Grant[] {
  const pattern = inboxTopic(subject);
  if (pattern === undefined) return grants;
  const mayUse = grants.some((one) => one.action === 'inbox' && covers(one.pattern, pattern));
  if (!mayUse) return grants;
  return [...grants, { action: 'subscribe', pattern }, { action: 'history', pattern }];
}

/**
 * Whether one granted pattern covers the whole pattern. Whoever may read a pattern may also read the notices of what was
 * erased there. Several grants that cover it only together are
 * not enough, because the answer would then depend on topics that do not exist yet.
 */
export function permits(principal: Principal, action: Action, pattern: string): boolean {
  const mayHaveNotices = action === 'subscribe' || action === 'history';
  const noticed = mayHaveNotices ? subjectOfNotices(pattern) : undefined;
  const isGranted = (wanted: string) =>
    principal.grants.some((grant) => grant.action === action && covers(grant.pattern, wanted));
  return isGranted(pattern) || (noticed !== undefined && isGranted(noticed));
}

/**
 * Refuses principals without any grant for one of the actions.
 *
 * @throws TidemarkError `forbidden`
 */
export function requireGrant(principal: Principal, ...actions: readonly Action[]): void {
  if (principal.grants.some(({ action }) => actions.includes(action))) return;
  throw new TidemarkError('forbidden', `The token does not permit ${actions.join(' or ')}.`);
}

/** Whether the token permits admin calls. */
export function isAdmin(principal: Principal): boolean {
  return principal.admin;
}

/**
 * Refuses principals without the scope word `admin`.
 *
 * @throws TidemarkError `forbidden`
 */
export function requireAdmin(principal: Principal): void {
  if (!isAdmin(principal)) throw new TidemarkError('forbidden', 'The token does not permit admin.');
}

/**
 * Refuses principals without a grant that covers the pattern.
 *
 * @example requirePermission(principal, 'publish', 'orders.7');
 * @throws TidemarkError `forbidden`, which names the action and the pattern
 */
export function requirePermission(principal: Principal, action: Action, pattern: string): void {
  if (permits(principal, action, pattern)) return;
  throw new TidemarkError('forbidden', `The token does not permit ${action}:${pattern}.`);
}

/**
 * Refuses principals whose token has expired since it was checked.
 *
 * @param nowMs milliseconds since 1970
 * @throws TidemarkError `token_expired`
 */
export function requireUnexpired({ expiresAtMs }: Principal, nowMs: number): void {
  if (expiresAtMs > nowMs) return;
  throw new TidemarkError('token_expired', 'The token has expired.');
}

/**
 * Reads one scope word.
 *
 * @example parseGrant('subscribe:orders.*') // { action: 'subscribe', pattern: 'orders.*' }
 * @returns `undefined` for a word that grants nothing on topics
 */
export function parseGrant(word: string): Grant | undefined {
  const colon = word.indexOf(':');
  const action = ACTIONS.find((known) => known === word.slice(0, colon));
  const pattern = word.slice(colon + 1);
  return action !== undefined && isPattern(pattern) ? { action, pattern } : undefined;
}
