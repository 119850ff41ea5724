import { createHash, randomBytes } from 'node:crypto';
import type { KV } from '@nats-io/kv';
import { TidemarkError } from '@tidemark/protocol';
import { isConflict, openBucket, TICKET_BUCKET, TICKET_SECONDS } from './buckets.ts';
import type { NatsLink } from './link.ts';
import type { RecordStoreOptions } from './record-seal.ts';

const TICKET_BYTES = 32;

/** A ticket as it is stored. Its end is sealed, because one that was used can be stored again. */
interface SealedTicket {
  readonly holder: unknown;
  readonly expiresAtMs: number;
}

/** A ticket as a client gets it. */
export interface Ticket {
  readonly ticket: string;
  /** Milliseconds since 1970. */
  readonly expiresAtMs: number;
}

/**
 * Issues and redeems tickets: secrets that work once, for 30 s, on every gateway. Redeeming deletes the
 * ticket, and NATS lets only one delete succeed. The bucket holds hashes, so that nobody can use what it
 * holds, and its records are sealed, so that nobody can add to it what a gateway would accept.
 */
export class TicketStore {
  readonly #link: NatsLink;
  readonly #options: RecordStoreOptions;

  constructor(link: NatsLink, options: RecordStoreOptions) {
    this.#link = link;
    this.#options = options;
  }

  /**
   * Issues a ticket.
   *
   * @param holder what the ticket stands for, as JSON
   * @throws TidemarkError `unavailable`
   */
  async issue(holder: unknown): Promise<Ticket> {
    const ticket = randomBytes(TICKET_BYTES).toString('base64url');
    const expiresAtMs = Date.now() + TICKET_SECONDS * 1000;
    const key = keyOf(ticket);
    const text = JSON.stringify({ holder, expiresAtMs } satisfies SealedTicket);
    const record = this.#options.seal.seal({ bucket: TICKET_BUCKET, key }, text);
    await this.#run((bucket) => bucket.put(key, record));
    return { ticket, expiresAtMs };
  }

  /**
   * Uses a ticket.
   *
   * @returns what it was issued for; `undefined` when it is unknown, expired, used or not issued by a gateway
   * @throws TidemarkError `unavailable`; the ticket may then have been used
   */
  redeem(ticket: string): Promise<unknown> {
    return this.#run(async (bucket) => {
      const key = keyOf(ticket);
      const entry = await bucket.get(key);
      if (entry?.operation !== 'PUT') return undefined;
      try {
        await bucket.delete(key, { previousSeq: entry.revision });
      } catch (error) {
        // Somebody else was faster.
        if (isConflict(error)) return undefined;
        throw error;
      }
      const stored = { payload: entry.value, storedMs: entry.created.getTime() };
      const { text } = this.#options.seal.open({ bucket: TICKET_BUCKET, key }, stored);
      if (text === undefined) return undefined;
      const { holder, expiresAtMs } = JSON.parse(text) as SealedTicket;
      return expiresAtMs > Date.now() ? holder : undefined;
    });
  }

  async #run<T>(use: (bucket: KV) => Promise<T>): Promise<T> {
    try {
      return await use(await openBucket(this.#link, TICKET_BUCKET, this.#options));
    } catch (cause) {
      throw new TidemarkError('unavailable', 'Tickets cannot be reached now.', {
        retryAfterSeconds: 1,
        cause,
      });
    }
  }
}

function keyOf(ticket: string): string {
  return createHash('sha256').update(ticket).digest('hex');
}
