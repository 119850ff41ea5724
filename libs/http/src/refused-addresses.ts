import type { BlockList } from 'node:net';
import { TidemarkError } from '@tidemark/protocol';
import { type AddressCarrier, clientOf, parseProxies } from './addresses.ts';
import type { Failures, Limits } from './limits.ts';

/** Somebody whose address may be known, by its socket or because it was read before. */
export interface Addressed extends Partial<AddressCarrier> {
  readonly address?: string;
}

/** The settings of the limit. */
export interface RefusedAddressesOptions {
  readonly refusalsPerSecondMax: number;
  readonly trustedProxies: string;
}

/**
 * Refused addresses: those that have just brought too many wrong tokens or tickets, since each costs a
 * signature or a request to NATS.
 */
export class RefusedAddresses {
  readonly #refusals: Failures;
  readonly #proxies: BlockList;

  /** @throws ConfigurationError for proxies that are no addresses */
  constructor(
    { refusalsPerSecondMax, trustedProxies }: RefusedAddressesOptions,
    limits: Pick<Limits, 'failures'>,
  ) {
    this.#proxies = parseProxies(trustedProxies);
    this.#refusals = limits.failures('refusals_per_second', {
      max: refusalsPerSecondMax,
      of: 'requests without a valid token from one address',
    });
  }

  /** The address that limits count for; `undefined` where it is not known. */
  addressOf({ address, headers, socket }: Addressed): string | undefined {
    if (address !== undefined) return address;
    return headers && socket ? clientOf({ headers, socket }, this.#proxies) : undefined;
  }

  /**
   * Checks a token or a ticket, and counts it for the address when it is wrong.
   *
   * @throws TidemarkError `limit_exceeded` for a refused address, whatever it brings, or what `check` throws
   */
  async guard<T>(sender: Addressed, check: () => Promise<T>): Promise<T> {
    const address = this.addressOf(sender);
    if (address === undefined) return check();
    this.#refusals.check(address);
    try {
      return await check();
    } catch (error) {
      if (error instanceof TidemarkError && error.status === 401) this.#refusals.note(address);
      throw error;
    }
  }
}
