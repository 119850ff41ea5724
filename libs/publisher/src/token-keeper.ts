import { offlineError } from './errors.ts';

/** A new token is asked for when so much of the lifetime is left, and this at most. */
const EARLY_SHARE = 0.1;
const EARLY_MS = 30_000;
/** A token function that has not answered by then has failed. */
const ASK_MS = 10_000;

/** Asks the token function: once for all who wait, and again only where the token was refused or is old. */
export class TokenKeeper {
  /** Whether there is no function to ask, so that every token is the same. */
  readonly isFixed: boolean;
  readonly #ask: () => string | Promise<string>;
  #token: string | undefined;
  #renewAt = Number.POSITIVE_INFINITY;
  #asking: Promise<string> | undefined;

  constructor(token: string | (() => string | Promise<string>)) {
    this.isFixed = typeof token === 'string';
    this.#ask = typeof token === 'string' ? () => token : token;
  }

  /**
   * A token that is valid as far as it tells. Where a new one does not come in time, the old one is used until it is
   * refused.
   *
   * @throws TidemarkPublisherError `offline`
   */
  async get(): Promise<string> {
    const old = this.#token;
    if (old !== undefined && performance.now() < this.#renewAt) return old;
    this.#asking ??= this.#renew().finally(() => {
      this.#asking = undefined;
    });
    try {
      return await this.#asking;
    } catch (cause) {
      if (this.#token !== undefined) return this.#token;
      throw offlineError('The token function failed.', cause);
    }
  }

  /** Ingest refused this token. Where another one has replaced it already, that one stays. */
  refuse(token: string): void {
    if (this.#token === token) this.#token = undefined;
  }

  async #renew(): Promise<string> {
    const token = await within(ASK_MS, this.#ask());
    if (typeof token !== 'string' || token === '') throw new Error('It gave no token.');
    this.#token = token;
    const lifetime = lifetimeMs(token);
    const early = Math.min(EARLY_MS, lifetime * EARLY_SHARE);
    this.#renewAt = performance.now() + lifetime - early;
    return token;
  }
}

function within<Value>(ms: number, value: Value | Promise<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`No token came within ${ms} ms.`)), ms);
    Promise.resolve(value)
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

/**
 * How long a token that has just come is valid; without an end for what is no JWT. A clock that is behind would make it
 * longer, so `iat` counts where it is later. A clock that is ahead makes it shorter: ingest then decides.
 */
function lifetimeMs(token: string): number {
  try {
    const claims = Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
    const { exp, iat } = JSON.parse(claims) as { exp?: number; iat?: number };
    if (typeof exp !== 'number') return Number.POSITIVE_INFINITY;
    return Math.max(0, exp * 1000 - Math.max(Date.now(), (iat ?? 0) * 1000));
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
