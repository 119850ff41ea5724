import type { AuthenticatedRecord, ConnectRecord, RunBounds } from '../history.ts';
import type { Follower } from './follower.ts';
import type { Place } from './lineage.ts';
import type { Token, Tokens } from './tokens.ts';
import type { Truth } from './truth.ts';

const PERMISSION = 'nobody beyond permission';

/** A connection that is open, and whether what arrives on it is permitted. */
export class Connection {
  readonly name: string;
  readonly isSse: boolean;
  /** The subscriptions that it carries. */
  readonly followers = new Set<Follower>();
  /** Whether its client has ever stopped to read: what arrives later may have been sent long before. */
  wasPaused = false;
  readonly #gateway: string;
  readonly #permissions: Permissions;
  #token: Token | undefined;
  #endMs = Number.POSITIVE_INFINITY;

  constructor(record: ConnectRecord, permissions: Permissions) {
    this.name = record.connection;
    this.isSse = record.transport === 'sse';
    this.#gateway = record.gateway;
    this.#permissions = permissions;
    this.authenticate(record);
  }

  authenticate({ token }: ConnectRecord | AuthenticatedRecord): void {
    const { tokens, bounds, truth } = this.#permissions;
    this.#token = tokens.get(token);
    if (!this.#token) return;
    this.#endMs = tokens.endMs(this.#token, this.#gateway, bounds, truth.faults);
  }

  /** An event arrives: its token covers the topic, and had not ended when the event was published. */
  checkEvent(topic: string, id: string, atMs: number): void {
    if (!this.#token?.maySubscribe(topic)) {
      const text = `${this.name} got ${id} of ${topic}, which its token ${this.#token?.name} does not permit`;
      this.#violate(atMs, text, { topic, id });
    }
    this.#checkPublished(this.#permissions.publishedMs(id), `${id} of ${topic}`, atMs);
  }

  /** A cursor without an event arrives. */
  checkCursor({ sequence, lost, foreign }: Place, atMs: number): void {
    const { log, faults } = this.#permissions.truth;
    if (lost || foreign || faults.mayHaveLostEnd(atMs)) return;
    this.#checkPublished(log.attemptMsOf(sequence), `the cursor of ${sequence}`, atMs);
  }

  /** It is closed by now, at the latest: a gateway closes it when its token has ended. */
  checkClosed(atMs: number): void {
    const { bounds, truth } = this.#permissions;
    // Where a link is cut, the end of the connection arrives late.
    const deadlineMs = truth.faults.deadline(this.#endMs, bounds.expiryMs, () => true);
    if (this.wasPaused || atMs <= deadlineMs) return;
    const text = `${this.name} was open until ${atMs}, and its token ${this.#token?.name} had ended before ${this.#endMs}`;
    this.#violate(atMs, text, {});
  }

  #checkPublished(publishedMs: number, what: string, atMs: number): void {
    if (publishedMs <= this.#endMs) return;
    const text = `${this.name} got ${what}, published at ${publishedMs}, and its token ${this.#token?.name} had ended before ${this.#endMs}`;
    this.#violate(atMs, text, {});
  }

  #violate(atMs: number, text: string, concern: { topic?: string; id?: string }): void {
    const { found } = this.#permissions.truth;
    found.violate(PERMISSION, atMs, text, { connection: this.name, ...concern });
  }
}

/** What permissions are judged by. */
export interface Permissions {
  readonly tokens: Tokens;
  readonly bounds: RunBounds;
  readonly truth: Truth;
  /** The begin of the first attempt to publish an event; -Infinity where there was none. */
  publishedMs(id: string): number;
}
