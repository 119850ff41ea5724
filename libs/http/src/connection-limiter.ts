import type { BlockList, Socket } from 'node:net';
import { parseProxies, peerOf } from './addresses.ts';
import type { Limits } from './limits.ts';

/** The limit of each address, and the proxies that it does not apply to. */
export interface ConnectionLimiterOptions {
  readonly socketsPerAddressMax: number;
  /** Addresses and CIDR ranges separated by commas. */
  readonly trustedProxies: string;
  readonly limits: Pick<Limits, 'hit'>;
}

/** The count of one address's open sockets. All of them share it, since they may be a hundred thousand. */
export interface AddressSockets {
  readonly address: string;
  sockets: number;
}

/** Connection limiter: bounds the open sockets of one address. Trusted proxies are exempt. */
export class ConnectionLimiter {
  readonly #max: number;
  readonly #proxies: BlockList;
  readonly #limits: ConnectionLimiterOptions['limits'];
  readonly #byAddress = new Map<string, AddressSockets>();

  constructor({ socketsPerAddressMax, trustedProxies, limits }: ConnectionLimiterOptions) {
    this.#max = socketsPerAddressMax;
    this.#proxies = parseProxies(trustedProxies);
    this.#limits = limits;
  }

  /**
   * Counts a socket.
   *
   * @returns the count to release when the socket closes; `proxy` needs no release; `full` means that the
   *   socket was refused and not counted
   */
  acquire(socket: Socket): AddressSockets | 'proxy' | 'full' {
    const address = peerOf(socket, this.#proxies);
    if (address === undefined) return 'proxy';
    const counted = this.#byAddress.get(address) ?? { address, sockets: 0 };
    if (counted.sockets >= this.#max) {
      this.#limits.hit('sockets_per_address');
      return 'full';
    }
    counted.sockets++;
    this.#byAddress.set(address, counted);
    return counted;
  }

  /** Uncounts a socket that has closed. */
  release(counted: AddressSockets): void {
    counted.sockets--;
    if (counted.sockets === 0) this.#byAddress.delete(counted.address);
  }
}
