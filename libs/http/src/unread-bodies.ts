import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Limits, Rate } from './limits.ts';

/** Bytes of refused bodies that a service reads from one address in a second, so that its client reads the answer. */
export const DISCARDED_BYTES_PER_SECOND_MAX = 4 * 1024 * 1024;

/** What a body counts for whose size its client does not tell. */
const UNKNOWN_BYTES = 1024 * 1024;

/** How long a client beyond the rate waits for its answer, and how long it may take to read it. */
const LINGER_MS = 1_000;

/**
 * Unread bodies: what was refused before it had arrived. Node reads the rest and discards it, and the client
 * then reads the answer instead of a reset connection. Each 64 KiB of that is a buffer for the garbage
 * collector, whose pauses everybody feels. So an address has a rate of such bytes. Beyond it nothing more is
 * read, the answer comes late, and the connection ends once the client has had time to read it.
 */
export class UnreadBodies {
  readonly #discarded: Rate;

  constructor(limits: Pick<Limits, 'rate'>) {
    this.#discarded = limits.rate('discarded_bytes_per_second', {
      max: DISCARDED_BYTES_PER_SECOND_MAX,
      of: 'bytes of refused bodies from one address',
    });
  }

  /** Must be called before the answer begins. */
  async leave(request: IncomingMessage, response: ServerResponse, address: string): Promise<void> {
    const { headers } = request;
    const chunked = headers['transfer-encoding'] !== undefined;
    const bytes = chunked ? UNKNOWN_BYTES : Number(headers['content-length'] ?? 0);
    if (request.complete || bytes === 0) return;
    try {
      this.#discarded.consume(address, bytes);
      request.resume();
    } catch {
      request.pause();
      // At different times, so that many of them do not come back together.
      await sleep(LINGER_MS * (0.5 + Math.random()));
      closeAfter(response, request);
    }
  }
}

function closeAfter(response: ServerResponse, { socket }: IncomingMessage): void {
  response.setHeader('Connection', 'close');
  // Node calls it after the last answer. A socket with unread bytes that is closed at once resets the connection.
  socket.destroySoon = () => {
    socket.end();
    // By then Node has begun to read what it means to discard.
    setImmediate(() => socket.pause());
    setTimeout(() => socket.destroy(), LINGER_MS).unref();
  };
}
