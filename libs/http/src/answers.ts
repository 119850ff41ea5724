import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Answers: those that are under way, by the sockets that they go to. A client may send further requests
 * before it has the answer to the first (pipelining). Their answers wait behind it.
 */
export class Answers {
  readonly #all = new Set<ServerResponse>();
  readonly #bySocket = new WeakMap<Duplex, ServerResponse[]>();

  [Symbol.iterator](): Iterator<ServerResponse> {
    return this.#all.values();
  }

  /** How many go to this socket. */
  countOf(socket: Duplex): number {
    return this.#bySocket.get(socket)?.length ?? 0;
  }

  /** The one that is sent to this socket now. */
  currentOf(socket: Duplex): ServerResponse | undefined {
    return this.#bySocket.get(socket)?.[0];
  }

  /** @param onClose called when the answer has been sent, or when its client is gone */
  add(answer: ServerResponse, onClose: () => void): void {
    const { socket } = answer.req;
    const others = this.#bySocket.get(socket);
    if (others) others.push(answer);
    else this.#bySocket.set(socket, [answer]);
    this.#all.add(answer);
    // It comes once.
    answer.on('close', () => {
      this.#remove(answer, socket);
      onClose();
    });
  }

  #remove(answer: ServerResponse, socket: Duplex): void {
    this.#all.delete(answer);
    const left = this.#bySocket.get(socket)?.filter((one) => one !== answer) ?? [];
    if (left.length > 0) this.#bySocket.set(socket, left);
    else this.#bySocket.delete(socket);
  }
}
