import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import type { Principal } from '@tidemark/auth';
import {
  type Authenticate,
  clientOf,
  type Limits,
  type Rate,
  type Semaphore,
} from '@tidemark/http';
import type { Registry } from '../connections/registry.ts';

export interface AdmissionLimits {
  readonly connectionsPerAddressMax: number;
  readonly connectionsPerUserMax: number;
  readonly handshakesPerSecondMax: number;
}

export interface AdmissionOptions extends AdmissionLimits {
  readonly registry: Registry;
  readonly limits: Limits;
  /** Proxies whose `X-Forwarded-For` is trusted. */
  readonly proxies: BlockList;
}

/** The parts of a request that identify its sender. */
export type ConnectRequest = Pick<IncomingMessage, 'headers' | 'url' | 'socket'>;

/** Admits connections within the limits of the gateway, of one address and of one user. */
export class Admission {
  readonly #registry: Registry;
  readonly #limits: Limits;
  readonly #proxies: BlockList;
  readonly #handshakes: Rate;
  readonly #addresses: Semaphore;
  readonly #users: Semaphore;

  constructor(options: AdmissionOptions) {
    const { registry, limits, proxies } = options;
    this.#registry = registry;
    this.#limits = limits;
    this.#proxies = proxies;
    this.#handshakes = limits.rate('handshakes_per_second', {
      max: options.handshakesPerSecondMax,
      of: 'handshakes from one address',
    });
    this.#addresses = limits.semaphore('connections_per_address', {
      max: options.connectionsPerAddressMax,
      of: 'connections from this address',
    });
    this.#users = limits.semaphore('connections_per_user', {
      max: options.connectionsPerUserMax,
      of: 'connections of this user',
    });
  }

  /** Limits the handshakes of an address before it checks the token. */
  guard(authenticate: Authenticate): (request: ConnectRequest) => Promise<Principal> {
    return async (request) => {
      this.#handshakes.consume(clientOf(request, this.#proxies));
      return authenticate(request);
    };
  }

  /**
   * Counts a connection.
   *
   * @returns the address that it counts for
   * @throws TidemarkError `limit_exceeded`
   */
  admit(request: ConnectRequest, { subject }: Principal): string {
    try {
      this.#registry.requireCapacity();
    } catch (error) {
      if (!this.#registry.closing) this.#limits.hit('connections');
      throw error;
    }
    const address = clientOf(request, this.#proxies);
    this.#addresses.take(address);
    try {
      this.#users.take(subject);
    } catch (error) {
      this.#addresses.give(address);
      throw error;
    }
    return address;
  }

  /** Called once for each connection that was admitted, when its socket has closed. */
  release(address: string, { subject }: Principal): void {
    this.#addresses.give(address);
    this.#users.give(subject);
  }
}
