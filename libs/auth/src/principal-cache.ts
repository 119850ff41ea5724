import type { Principal } from './permissions.ts';

/** Characters of all tokens, so that thousands of clients that come back at once are known: some 25,000 tokens in 20 MB. */
const CHARACTERS_MAX = 8 * 1024 * 1024;
const CACHED_LENGTH_MAX = 4096;

/** A key that the issuer withdraws stops working at most this much later. */
const AGE_MS_MAX = 30_000;

interface CachedPrincipal {
  readonly principal: Principal;
  readonly untilMs: number;
}

/**
 * The principals of recently checked tokens. Checking a signature takes 50 to 100 µs, and a publisher
 * sends the same token with every event. The cache knows nothing of revocations, so its user checks
 * each principal against them. The least recently used one leaves first.
 */
export class PrincipalCache {
  readonly #entries = new Map<string, CachedPrincipal>();
  #characters = 0;
  /** The one that was used last. It need not move. */
  #newest: CachedPrincipal | undefined;

  get(token: string, nowMs: number): Principal | undefined {
    const entry = this.#entries.get(token);
    if (!entry) return undefined;
    if (entry.untilMs <= nowMs) {
      this.#remove(token);
      return undefined;
    }
    if (entry !== this.#newest) {
      this.#entries.delete(token);
      this.#entries.set(token, entry);
      this.#newest = entry;
    }
    return entry.principal;
  }

  add(token: string, principal: Principal, nowMs: number): void {
    if (token.length > CACHED_LENGTH_MAX) return;
    const untilMs = Math.min(principal.expiresAtMs, nowMs + AGE_MS_MAX);
    this.#remove(token);
    this.#newest = { principal, untilMs };
    this.#entries.set(token, this.#newest);
    this.#characters += token.length;
    for (const oldest of this.#entries.keys()) {
      if (this.#characters <= CHARACTERS_MAX) return;
      this.#remove(oldest);
    }
  }

  #remove(token: string): void {
    if (this.#entries.delete(token)) this.#characters -= token.length;
  }
}
