import { revocationSeconds } from '@tidemark/config';
import { type Revocation, revocationKey, revocationKeysOf } from '@tidemark/protocol';
import type { Principal } from './permissions.ts';

interface StoredRevocation {
  readonly revocation: Revocation;
  readonly storedMs: number;
}

/**
 * The revoked tokens that this process knows of. The list is incomplete until every stored revocation
 * has been read. Until then no token may be accepted.
 */
export class RevocationList {
  readonly #entries = new Map<string, StoredRevocation>();
  /** When records that cannot be read were stored, by their keys. */
  readonly #unreadable = new Map<string, number>();
  readonly #lifetimeMs: number;
  readonly #now: () => number;
  #complete = false;

  /**
   * Revocations that are older than the longest life of a token are dropped.
   *
   * @param now milliseconds since 1970
   */
  constructor(settings: Parameters<typeof revocationSeconds>[0], now: () => number = Date.now) {
    this.#lifetimeMs = revocationSeconds(settings) * 1000;
    this.#now = now;
  }

  /** Whether every revocation that was stored before now is in the list. */
  get isComplete(): boolean {
    return this.#complete;
  }

  get size(): number {
    return this.#entries.size + this.#unreadable.size;
  }

  /** Marks the list as complete. */
  complete(): void {
    this.#complete = true;
  }

  /**
   * Adds a revocation, or replaces an equal one.
   *
   * @param storedMs when it was stored, in milliseconds since 1970
   * @returns whether it revokes tokens that were not revoked before
   */
  add(revocation: Revocation, storedMs: number): boolean {
    this.#forget();
    this.#unreadable.delete(revocationKey(revocation));
    const key = keyOf(revocation);
    const known = this.#entries.get(key)?.revocation;
    // Moved to the end, so that the oldest stay in front.
    this.#entries.delete(key);
    this.#entries.set(key, { revocation, storedMs });
    return !known || timeOf(known) < timeOf(revocation);
  }

  /**
   * Adds what is stored under a key and cannot be read: all tokens that the key names are revoked, until
   * the same revocation is added or removed.
   *
   * @param storedMs when it was stored, in milliseconds since 1970
   */
  addUnreadable(key: string, storedMs: number): void {
    this.#forget();
    this.#unreadable.delete(key);
    this.#unreadable.set(key, storedMs);
  }

  /** Removes a revocation, so that its tokens are accepted again. */
  remove(revocation: Revocation): void {
    this.#unreadable.delete(revocationKey(revocation));
    this.#entries.delete(keyOf(revocation));
  }

  /** Whether the token of this principal is revoked. */
  covers(principal: Principal): boolean {
    // Most lists hold none, and then no token is hashed.
    if (this.#unreadable.size > 0 && this.#coversUnread(principal)) return true;
    const { subject, tokenId } = principal;
    const keys = [`sub ${subject}`, `before ${subject}`];
    if (tokenId !== undefined) keys.push(`jti ${tokenId}`);
    return keys.some((key) => {
      const entry = this.#entries.get(key);
      return entry && !this.#isOver(entry) && revokes(entry.revocation, principal);
    });
  }

  #coversUnread(principal: Principal): boolean {
    return revocationKeysOf(principal).some((key) => {
      const storedMs = this.#unreadable.get(key);
      return storedMs !== undefined && !this.#isOver({ storedMs });
    });
  }

  #forget(): void {
    for (const [key, entry] of this.#entries) {
      if (!this.#isOver(entry)) break;
      this.#entries.delete(key);
    }
    for (const [key, storedMs] of this.#unreadable) {
      if (!this.#isOver({ storedMs })) break;
      this.#unreadable.delete(key);
    }
  }

  #isOver({ storedMs }: Pick<StoredRevocation, 'storedMs'>): boolean {
    return storedMs + this.#lifetimeMs <= this.#now();
  }
}

/** Whether a revocation covers a token. A token without `iat` counts as older than any time. */
export function revokes(revocation: Revocation, principal: Principal): boolean {
  if ('tokenId' in revocation) return revocation.tokenId === principal.tokenId;
  if (revocation.subject !== principal.subject) return false;
  return (principal.issuedAtMs ?? Number.NEGATIVE_INFINITY) < timeOf(revocation);
}

function keyOf(revocation: Revocation): string {
  if ('tokenId' in revocation) return `jti ${revocation.tokenId}`;
  return `${'issuedBeforeMs' in revocation ? 'before' : 'sub'} ${revocation.subject}`;
}

function timeOf(revocation: Revocation): number {
  return 'issuedBeforeMs' in revocation ? revocation.issuedBeforeMs : Number.POSITIVE_INFINITY;
}
