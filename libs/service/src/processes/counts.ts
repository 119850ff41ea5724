import type { Change, Counted } from './messages.ts';

/** Sums of one kind, by limit and key. A sum of zero takes no memory. */
export class Sums {
  readonly #limits = new Map<string, Map<string, number>>();

  get(limit: string, key: string): number {
    return this.#limits.get(limit)?.get(key) ?? 0;
  }

  add(limit: string, key: string, count: number): void {
    const keys = this.#limits.get(limit) ?? new Map<string, number>();
    this.#limits.set(limit, keys);
    const sum = (keys.get(key) ?? 0) + count;
    if (sum === 0) keys.delete(key);
    else keys.set(key, sum);
  }

  addAll(changes: readonly Change[]): void {
    for (const change of changes) this.add(...change);
  }

  /** All sums; with `sign` -1 what takes them away. */
  changes(sign: 1 | -1 = 1): Change[] {
    return [...this.#limits].flatMap(([limit, keys]) =>
      [...keys].map(([key, count]): Change => [limit, key, sign * count]),
    );
  }

  clear(): void {
    this.#limits.clear();
  }
}

/** Gathers what a process counts for some milliseconds, so that one message tells much. */
export class Gathered {
  readonly #held = new Sums();
  readonly #used = new Sums();
  readonly #delayMs: number;
  readonly #send: (counted: Counted) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(delayMs: number, send: (counted: Counted) => void) {
    this.#delayMs = delayMs;
    this.#send = send;
  }

  addHeld(...change: Change): void {
    this.#held.add(...change);
    this.#schedule();
  }

  addUsed(...change: Change): void {
    this.#used.add(...change);
    this.#schedule();
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => this.#flush(), this.#delayMs);
  }

  #flush(): void {
    this.#timer = undefined;
    const counted = { held: this.#held.changes(), used: this.#used.changes() };
    this.#held.clear();
    this.#used.clear();
    if (counted.held.length + counted.used.length > 0) this.#send(counted);
  }
}
