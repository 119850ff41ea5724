import type { IncomingMessage } from 'node:http';
import type { BlockList } from 'node:net';
import type { Principal } from '@tidemark/auth';
import { type Authenticate, clientOf, type Limits, type Places, type Rate } from '@tidemark/http';
import type { Registry } from '../connections/registry.ts';

export interface AdmissionLimits {
  readonly connectionsPerAddressMax: number;
  readonly connectionsPerUserMax: number;
  readonly handshakesPerSecondMax: number;
}

export interface AdmissionOptions extends AdmissionLimits {
  readonly registry: Registry;
  readonly limits: Limits;
  /** Proxies whose word is taken for where a request comes from. */
  readonly proxies: BlockList;
}

/** A request whose sender is to be told. */
export type ConnectRequest = Pick<IncomingMessage, 'headers' | 'url' | 'socket'>;

/** Who may open a connection now: what one address and one user may take from the others. */
export class Admission {
  readonly #registry: Registry;
  readonly #limits: Limits;
  readonly #proxies: BlockList;
  readonly #handshakes: Rate;
  readonly #addresses: Places;
  readonly #users: Places;

  constructor(options: AdmissionOptions) {
    const { registry, limits, proxies } = options;
    this.#registry = registry;
    this.#limits = limits;
    this.#proxies = proxies;
    this.#handshakes = limits.rate('handshakes_per_second', {
      max: options.handshakesPerSecondMax,
      of: 'handshakes from one address',
    });
    this.#addresses = limits.places('connections_per_address', {
      max: options.connectionsPerAddressMax,
      of: 'connections from this address',
    });
    this.#users = limits.places('connections_per_user', {
      max: options.connectionsPerUserMax,
      of: 'connections of this user',
    });
  }

  /** Lets an address ask so many times in a second, before it costs a look at its token. */
  guard(authenticate: Authenticate): (request: ConnectRequest) => Promise<Principal> {
    return async (request) => {
      await this.#handshakes.take(clientOf(request, this.#proxies));
      return authenticate(request);
    };
  }

  /** Takes places that the end of the socket gives back. @throws TidemarkError */
  admit(request: ConnectRequest, { subject }: Principal): void {
    try {
      this.#registry.admit();
    } catch (error) {
      if (!this.#registry.closing) this.#limits.hit('connections');
      throw error;
    }
    const { socket } = request;
    if (socket.closed) return;
    const leaveAddress = this.#addresses.enter(clientOf(request, this.#proxies));
    try {
      socket.on('close', this.#users.enter(subject));
    } catch (error) {
      leaveAddress();
      throw error;
    }
    socket.on('close', leaveAddress);
  }
}
