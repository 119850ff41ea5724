import { NO_OTHERS, type OtherProcesses } from '@tidemark/http';

const SECOND_MS = 1000;

/** The name under which processes tell each other what users have sent. */
const LIMIT = 'message_bytes_per_second';

/** What a message costs besides its bytes: a small one takes some microseconds. */
export const MESSAGE_COST_BYTES = 256;

/** A user waits no longer than this for what it has sent, however much that was. */
const WAIT_MAX_MS = 10_000;

/** After this time a user who sent nothing has its whole second again. */
const FORGET_MS = WAIT_MAX_MS + SECOND_MS;

interface Bucket {
  left: number;
  atMs: number;
}

/**
 * Message bytes: how fast the gateway reads from all connections of one user, as a token bucket for each that
 * holds the bytes of one second. A user beyond it is read from later. Its messages are not refused, so a client
 * that publishes much is slowed by its own socket. What messages and handshakes cost the service beyond their
 * bytes counts as bytes too.
 *
 * Users who send nothing are forgotten with the map that they are in: whoever sends moves to the newer one.
 */
export class MessageBytes {
  readonly #perSecondMax: number;
  #buckets = new Map<string, Bucket>();
  #older = new Map<string, Bucket>();
  #renewedMs = 0;

  readonly #others: OtherProcesses;

  /** @param nowMs when the others are heard, on the clock that `take` is told */
  constructor(
    perSecondMax: number,
    others: OtherProcesses = NO_OTHERS,
    nowMs = () => performance.now(),
  ) {
    this.#perSecondMax = perSecondMax;
    this.#others = others;
    others.onUsed(LIMIT, (user, bytes) => void this.#count(user, bytes, nowMs()));
  }

  /**
   * Counts a message that was read.
   *
   * @returns for how many milliseconds nothing more should be read from its connection
   */
  takeMessage(user: string, bytes: number, nowMs: number): number {
    return this.take(user, bytes + MESSAGE_COST_BYTES, nowMs);
  }

  /**
   * Counts something else, in bytes.
   *
   * @returns for how many milliseconds the user should wait
   */
  take(user: string, bytes: number, nowMs: number): number {
    this.#others.tellUsed(LIMIT, user, bytes);
    return this.#count(user, bytes, nowMs);
  }

  #count(user: string, bytes: number, nowMs: number): number {
    const bucket = this.#bucketOf(user, nowMs);
    const perMs = this.#perSecondMax / SECOND_MS;
    const refill = (nowMs - bucket.atMs) * perMs;
    const left = Math.min(this.#perSecondMax, bucket.left + refill) - bytes;
    bucket.left = Math.max(left, -WAIT_MAX_MS * perMs);
    bucket.atMs = nowMs;
    return bucket.left >= 0 ? 0 : Math.ceil(-bucket.left / perMs);
  }

  #bucketOf(user: string, nowMs: number): Bucket {
    if (nowMs - this.#renewedMs >= FORGET_MS) {
      this.#older = this.#buckets;
      this.#buckets = new Map();
      this.#renewedMs = nowMs;
    }
    const known = this.#buckets.get(user);
    if (known) return known;
    const bucket = this.#older.get(user) ?? { left: this.#perSecondMax, atMs: nowMs };
    this.#buckets.set(user, bucket);
    return bucket;
  }
}
