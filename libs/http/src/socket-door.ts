import type { BlockList, Socket } from 'node:net';
import { parseProxies, peerOf } from './addresses.ts';
import type { Limits } from './limits.ts';

export interface SocketDoorOptions {
  readonly socketsPerAddressMax: number;
  readonly trustedProxies: string;
  readonly limits: Pick<Limits, 'hit'>;
}

/** The sockets of one address; one object for all of them, since there may be a hundred thousand. */
export interface Holder {
  readonly address: string;
  sockets: number;
}

/** Lets an address have so many sockets, whatever comes of them. Proxies speak for many. */
export class SocketDoor {
  readonly #max: number;
  readonly #proxies: BlockList;
  readonly #limits: SocketDoorOptions['limits'];
  readonly #holders = new Map<string, Holder>();

  constructor({ socketsPerAddressMax, trustedProxies, limits }: SocketDoorOptions) {
    this.#max = socketsPerAddressMax;
    this.#proxies = parseProxies(trustedProxies);
    this.#limits = limits;
  }

  /** @returns whose socket it is, `'proxy'`, or `'full'` when it is one too many */
  enter(socket: Socket): Holder | 'proxy' | 'full' {
    const address = peerOf(socket, this.#proxies);
    if (address === undefined) return 'proxy';
    const holder = this.#holders.get(address) ?? { address, sockets: 0 };
    if (holder.sockets >= this.#max) {
      this.#limits.hit('sockets_per_address');
      return 'full';
    }
    holder.sockets++;
    this.#holders.set(address, holder);
    return holder;
  }

  leave(holder: Holder): void {
    holder.sockets--;
    if (holder.sockets === 0) this.#holders.delete(holder.address);
  }
}
