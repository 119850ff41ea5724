import type { RevokedRecord, RunBounds, TokenRecord } from '../history.ts';
import type { Fault, Faults } from './faults.ts';
import { Matchers } from './matchers.ts';

/** What a token allowed, and until when. */
export class Token {
  readonly name: string;
  readonly maySubscribe: (topic: string) => boolean;
  readonly mayRead: (topic: string) => boolean;
  readonly expiresMs: number;
  revokedMs = Number.POSITIVE_INFINITY;

  constructor(record: TokenRecord, matchers: Matchers) {
    this.name = record.token;
    this.maySubscribe = matchers.of(record.subscribe);
    this.mayRead = matchers.of(record.history);
    this.expiresMs = record.expiresAtMs;
  }
}

/** The tokens of a run. */
export class Tokens {
  readonly #matchers = new Matchers();
  readonly #tokens = new Map<string, Token>();

  add(record: TokenRecord): void {
    this.#tokens.set(record.token, new Token(record, this.#matchers));
  }

  revoke({ token, atMs }: RevokedRecord): void {
    const revoked = this.#tokens.get(token);
    if (revoked) revoked.revokedMs = Math.min(revoked.revokedMs, atMs);
  }

  get(name: string): Token | undefined {
    return this.#tokens.get(name);
  }

  /**
   * The time after which nothing may reach a client of a process with a token. A fault of the process, or
   * of the way to it, delays the expiry; each fault of NATS delays the revocation too.
   *
   * @param process the name of the process; `proxy` where it may be any
   */
  endMs(token: Token, process: string, bounds: RunBounds, faults: Faults): number {
    const isNear = ({ targets }: Fault) =>
      process === 'proxy' ? targets.some(isService) : targets.some((one) => one === process);
    const expired = faults.deadline(token.expiresMs, bounds.expiryMs, isNear);
    if (token.revokedMs === Number.POSITIVE_INFINITY) return expired;
    const isNearOrNats = (fault: Fault) => isNear(fault) || fault.targets.some(isNats);
    const revoked = faults.deadline(token.revokedMs, bounds.revocationMs, isNearOrNats);
    return Math.min(expired, revoked);
  }
}

function isNats(target: string): boolean {
  return target.startsWith('nats');
}

function isService(target: string): boolean {
  return !isNats(target);
}
