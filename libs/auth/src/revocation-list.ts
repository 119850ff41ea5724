import { revocationSeconds } from '@tidemark/config';
import type { Revocation } from '@tidemark/protocol';
import type { Principal } from './permissions.ts';

interface Entry {
  readonly revocation: Revocation;
  readonly storedMs: number;
}

/**
 * Which tokens are revoked, as far as this process has been told. Until it has been told of all
 * that there are it is not complete, and nobody may be let in by it.
 */
export class RevocationList {
  readonly #entries = new Map<string, Entry>();
  readonly #lifetimeMs: number;
  readonly #now: () => number;
  #complete = false;

  /** Revocations that are older than any token can be are forgotten. */
  constructor(settings: Parameters<typeof revocationSeconds>[0], now: () => number = Date.now) {
    this.#lifetimeMs = revocationSeconds(settings) * 1000;
    this.#now = now;
  }

  get isComplete(): boolean {
    return this.#complete;
  }

  get size(): number {
    return this.#entries.size;
  }

  complete(): void {
    this.#complete = true;
  }

  /** @returns whether it revokes something that was not revoked before */
  add(revocation: Revocation, storedMs: number): boolean {
    this.#forget();
    const key = keyOf(revocation);
    const known = this.#entries.get(key)?.revocation;
    // Put last, because the oldest are looked for at the front.
    this.#entries.delete(key);
    this.#entries.set(key, { revocation, storedMs });
    return !known || timeOf(known) < timeOf(revocation);
  }

  remove(revocation: Revocation): void {
    this.#entries.delete(keyOf(revocation));
  }

  covers(principal: Principal): boolean {
    const { subject, tokenId } = principal;
    const keys = [`sub ${subject}`, `before ${subject}`];
    if (tokenId !== undefined) keys.push(`jti ${tokenId}`);
    return keys.some((key) => {
      const entry = this.#entries.get(key);
      return entry && !this.#isOver(entry) && revokes(entry.revocation, principal);
    });
  }

  #forget(): void {
    for (const [key, entry] of this.#entries) {
      if (!this.#isOver(entry)) return;
      this.#entries.delete(key);
    }
  }

  #isOver({ storedMs }: Entry): boolean {
    return storedMs + this.#lifetimeMs <= this.#now();
  }
}

/** Whether a revocation concerns a token. One that does not tell its age may be of any. */
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
