import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';

/**
 * Answers: those that are under way, by the sockets that they go to. A client may send further requests
 * before it has the answer to the first (pipelining). Their answers wait behind it.
 */
export class Answers {
  readonly #all = new Set<ServerResponse>();
  readonly #bySocket = new Map<Duplex, ServerResponse[]>();

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
    const all = this.#bySocket.get(socket);
    if (!all) return;
    // Mostly it is the only one, and else the first.
    if (all.length === 1) this.#bySocket.delete(socket);
    else all.splice(all.indexOf(answer), 1);
  }
}
