import { Backoff } from './backoff.ts';

/** Most topics that are held at one time. Each is a parameter of the query for rows. */
export const HELD_TOPICS_MAX = 1000;

/** A topic that was not tried for so long after its pause has no row any more. */
const FORGOTTEN_MS = 60_000;

interface Held {
  readonly backoff: Backoff;
  untilMs: number;
}

/** Topics whose first row failed, but may not fail later: their rows wait for a time, and those of others do not. */
export class HeldTopics {
  readonly #topics = new Map<string, Held>();
  readonly #pauseMsMax: number;
  readonly #nowMs: () => number;

  constructor(pauseMsMax: number, nowMs = () => performance.now()) {
    this.#pauseMsMax = pauseMsMax;
    this.#nowMs = nowMs;
  }

  /** How many have failed and not gone on since. */
  get size(): number {
    return this.#topics.size;
  }

  has(topic: string): boolean {
    return (this.#topics.get(topic)?.untilMs ?? 0) > this.#nowMs();
  }

  /** The topics that wait now. */
  list(): string[] {
    return [...this.#topics.keys()].filter((topic) => this.has(topic));
  }

  /** How long until the first of them is tried again, in ms; infinity where none waits. */
  soonestMs(): number {
    const nowMs = this.#nowMs();
    const waiting = [...this.#topics.values()].map(({ untilMs }) => untilMs - nowMs);
    return Math.min(Number.POSITIVE_INFINITY, ...waiting.filter((ms) => ms > 0));
  }

  /**
   * Holds a topic, longer each time.
   *
   * @returns false where too many are held; then nothing may be sent for a while
   */
  hold(topic: string): boolean {
    const nowMs = this.#nowMs();
    if (this.#topics.size >= HELD_TOPICS_MAX && !this.#topics.has(topic)) this.#forget(nowMs);
    const known = this.#topics.get(topic);
    if (!known && this.#topics.size >= HELD_TOPICS_MAX) return false;
    const held = known ?? { backoff: new Backoff(this.#pauseMsMax), untilMs: 0 };
    held.untilMs = nowMs + held.backoff.nextMs();
    this.#topics.set(topic, held);
    return true;
  }

  /** A row of the topic went through, or was set aside. */
  release(topic: string): void {
    this.#topics.delete(topic);
  }

  /** Nothing waits any more: the rows of all of them have gone. */
  clear(): void {
    this.#topics.clear();
  }

  #forget(nowMs: number): void {
    for (const [topic, { untilMs }] of this.#topics) {
      if (untilMs + FORGOTTEN_MS < nowMs) this.#topics.delete(topic);
    }
  }
}
