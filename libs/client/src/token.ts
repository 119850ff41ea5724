import type { Environment } from './environment.ts';

/** A new token is asked for when so much of the lifetime is left, and this at most. */
const EARLY_SHARE = 0.1;
const EARLY_MS = 30_000;
/** A token function that has not answered by then has failed. */
const ASK_MS = 30_000;
/** The longest time that timers take. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Asks the token function: once for all who wait, and again only where the token was refused or is old. */
export class TokenKeeper {
  readonly #ask: () => string | Promise<string>;
  readonly #environment: Environment;
  #token: string | undefined;
  #askedAt = 0;
  #asking: Promise<string> | undefined;

  constructor(token: string | (() => string | Promise<string>), environment: Environment) {
    this.#ask = typeof token === 'string' ? () => token : token;
    this.#environment = environment;
  }

  /** The token that there is; `undefined` before the first, and after a refusal. */
  get current(): string | undefined {
    return this.#token;
  }

  async get(): Promise<string> {
    // A renewal has a reason: the token that there is would be refused soon.
    return this.#asking ?? this.#token ?? this.renew();
  }

  /** Asks anew. Who asks meanwhile gets the same answer. */
  renew(): Promise<string> {
    this.#asking ??= this.#renew().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** A service refused this token. Where another one has replaced it already, that one stays. */
  refuse(token: string): void {
    if (this.#token === token) this.#token = undefined;
  }

  /** How long to wait before the token is renewed; `undefined` where it does not tell. */
  get renewInMs(): number | undefined {
    const lifetime = this.#token && lifetimeMs(this.#token, this.#environment.wall());
    if (!lifetime || lifetime <= 0) return undefined;
    const early = Math.min(EARLY_MS, lifetime * EARLY_SHARE);
    const passed = this.#environment.now() - this.#askedAt;
    return Math.min(TIMER_MS_MAX, Math.max(0, lifetime - early - passed));
  }

  async #renew(): Promise<string> {
    this.#token = await this.#within(ASK_MS, this.#ask());
    this.#askedAt = this.#environment.now();
    return this.#token;
  }

  /** A function that never answers is asked again later, and does not hold up the connection for ever. */
  #within<Value>(ms: number, value: Value | Promise<Value>): Promise<Value> {
    return new Promise((resolve, reject) => {
      const cancel = this.#environment.timer(() => reject(new Error('No token came.')), ms);
      Promise.resolve(value).then(resolve, reject).finally(cancel);
    });
  }
}

/**
 * How long a token that has just come is valid; `undefined` for what is no JWT. A clock that is behind would make it
 * longer, so `iat` counts where it is later. A clock that is ahead makes it shorter: the service then decides.
 */
function lifetimeMs(token: string, wall: number): number | undefined {
  try {
    const base64 = (token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/');
    const { exp, iat } = JSON.parse(atob(base64)) as { exp?: number; iat?: number };
    return exp === undefined ? undefined : exp * 1000 - Math.max(wall, (iat ?? 0) * 1000);
  } catch {
    return undefined;
  }
}
