import { Shares } from '@tidemark/fairness';
import { TidemarkError } from '@tidemark/protocol';
import type { Metrics } from '@tidemark/telemetry';
import { NO_OTHERS, type OtherProcesses } from './other-processes.ts';
import { SecondCounts } from './second-counts.ts';

/** A keyed rate: bounds how often each key may do something in a second. */
export interface Rate {
  /**
   * Counts `count` times, 1 if absent.
   *
   * @throws TidemarkError `limit_exceeded`, whose `retryAfterSeconds` says when to try again
   */
  consume(key: string, count?: number): void;
}

/** A keyed semaphore: bounds what each key holds at one time. */
export interface Semaphore {
  /**
   * Acquires `count` permits, 1 if absent.
   *
   * @returns releases them; further calls do nothing
   * @throws TidemarkError `limit_exceeded`
   */
  acquire(key: string, count?: number): () => void;
  /**
   * Acquires a permit for who remembers its key: the function that `acquire` returns takes 144 bytes.
   *
   * @throws TidemarkError `limit_exceeded`
   */
  take(key: string): void;
  /** Releases what `take` has acquired; called once for each. */
  give(key: string): void;
}

/** What one request of a user holds of a budget. */
export interface Holding {
  /**
   * Takes more.
   *
   * @throws TidemarkError `limit_exceeded`; what it took before stays taken
   */
  take(count: number): void;
  /** Gives everything back. Further calls do nothing. */
  release(): void;
}

/** A budget that users share: bounds what one user and all hold, and keeps a part for those who hold nothing. */
export interface Budget {
  open(user: string): Holding;
}

/** The size of a budget, and how an error names it. */
export interface BudgetOptions {
  /** What all users may hold. */
  readonly max: number;
  /** What one user may hold; its limit has a name of its own. Absent: what the others leave. */
  readonly perUser?: { readonly limit: string; readonly max: number };
  /** What is held, in the words of the error: `bytes of bodies`. */
  readonly of: string;
}

/** A keyed rate of failures: bounds how often each key may fail in a second. */
export interface Failures {
  /**
   * Refuses a key that has failed too often.
   *
   * @throws TidemarkError `limit_exceeded`, whose `retryAfterSeconds` says when to try again
   */
  check(key: string): void;
  /** Counts a failure. */
  note(key: string): void;
}

/** The size of a limit, and how an error names it. */
export interface LimitOptions {
  readonly max: number;
  /** What is counted, in the words of the error: `handshakes from one address`. */
  readonly of: string;
}

/**
 * The limits of one process, by name. They count what comes to this host and not what comes to others, because a
 * limit protects the host and must hold while NATS is away. Rates and semaphores are shared with the other
 * processes of the service on the host; a budget is of this process alone.
 *
 * @example
 * const rate = limits.rate('tickets_per_second', { max: 10, of: 'tickets of one user' });
 * rate.consume('alice');
 */
export class Limits {
  readonly #hits;
  /** Permits that are held, of all keys together, by the name of the limit. */
  readonly #held = new Map<string, number>();
  readonly #shown: (() => Readonly<Record<string, number>>)[] = [];

  readonly #others: OtherProcesses;

  constructor(metrics: Metrics, others: OtherProcesses = NO_OTHERS) {
    this.#others = others;
    metrics.gaugeBy(
      { name: 'limits_held', help: 'How much of a named limit is in use.', label: 'limit' },
      () => Object.assign({}, Object.fromEntries(this.#held), ...this.#shown.map((read) => read())),
    );
    this.#hits = metrics.counter('limits_hit_total', 'Times that a named limit was reached.', [
      'limit',
    ]);
  }

  /** Counts in `limits_hit_total` that a limit was reached. */
  hit(limit: string): void {
    this.#hits.inc({ limit });
  }

  /** Shows what others hold and count, by the names of their limits, in `limits_held`. */
  showHeld(read: () => Readonly<Record<string, number>>): void {
    this.#shown.push(read);
  }

  /** Creates a rate. A key that does nothing for a second takes no memory. */
  rate(limit: string, { max, of }: LimitOptions): Rate {
    const counts = this.#createCounts(limit);
    return {
      consume: (key, count = 1) => {
        this.#others.tellUsed(limit, key, count);
        if (counts.add(key, count).count <= max) return;
        this.hit(limit);
        throw exceeded(`At most ${max} ${of} are accepted in a second.`, 1);
      },
    };
  }

  /** Creates a rate of failures. A key without a failure for a second takes no memory. */
  failures(limit: string, { max, of }: LimitOptions): Failures {
    const counts = this.#createCounts(limit);
    return {
      check: (key) => {
        const failed = counts.get(key);
        if (!failed || failed.count < max) return;
        this.hit(limit);
        throw exceeded(`At most ${max} ${of} are accepted in a second.`, 1);
      },
      note: (key) => {
        // Requests that were under way together may go beyond the maximum.
        counts.add(key, 1);
        this.#others.tellUsed(limit, key, 1);
      },
    };
  }

  /** Counts what this process uses of a rate, and what the others have used. */
  #createCounts(limit: string): SecondCounts {
    const counts = new SecondCounts();
    this.#others.onUsed(limit, (key, count) => void counts.add(key, count));
    return counts;
  }

  /** Creates a budget. A user who holds nothing takes no memory. */
  budget(limit: string, { max, perUser, of }: BudgetOptions): Budget {
    const shares = new Shares({ max, ...(perUser && { perUserMax: perUser.max }) });
    const names = perUser ? [limit, perUser.limit] : [limit];
    const show = () => names.forEach((name) => void this.#held.set(name, shares.total));
    show();
    const refuse = (full: 'user' | 'all'): never => {
      const ofUser = full === 'user' ? perUser : undefined;
      this.hit(ofUser?.limit ?? limit);
      const message = ofUser
        ? `At most ${ofUser.max} ${of} of one user are accepted at once.`
        : `Of the ${max} ${of} that are accepted at once, the rest is kept for other users.`;
      throw exceeded(message, 1);
    };
    return {
      open: (user) => {
        let held = 0;
        return {
          take: (count) => {
            const full = shares.take(user, count);
            if (full) refuse(full);
            held += count;
            show();
          },
          release: () => {
            shares.give(user, held);
            held = 0;
            show();
          },
        };
      },
    };
  }

  /** Creates a semaphore. A key without permits takes no memory. */
  semaphore(limit: string, { max, of }: LimitOptions): Semaphore {
    const taken = new Map<string, number>();
    const addHeld = (count: number) => this.#held.set(limit, (this.#held.get(limit) ?? 0) + count);
    addHeld(0);
    const others = this.#others;
    const take = (key: string, count: number): void => {
      const before = taken.get(key) ?? 0;
      if (before + count + others.heldElsewhere(limit, key) > max) {
        this.hit(limit);
        throw exceeded(`At most ${max} ${of} are accepted at once.`, 1);
      }
      taken.set(key, before + count);
      addHeld(count);
      others.tellHeld(limit, key, count);
    };
    const give = (key: string, count: number): void => {
      addHeld(-count);
      others.tellHeld(limit, key, -count);
      const remaining = (taken.get(key) ?? 0) - count;
      if (remaining > 0) taken.set(key, remaining);
      else taken.delete(key);
    };
    return {
      take: (key) => take(key, 1),
      give: (key) => give(key, 1),
      acquire: (key, count = 1) => {
        take(key, count);
        let left = false;
        return () => {
          if (left) return;
          left = true;
          give(key, count);
        };
      },
    };
  }
}

function exceeded(message: string, retryAfterSeconds: number): TidemarkError {
  return new TidemarkError('limit_exceeded', message, { retryAfterSeconds });
}
