import { TidemarkError } from '@tidemark/protocol';
import type { Metrics } from '@tidemark/telemetry';
import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible';

/** Something that may be done so many times in a second. */
export interface Rate {
  /** @throws TidemarkError `limit_exceeded` that tells when to come again */
  consume(key: string, count?: number): Promise<void>;
}

/** A keyed semaphore: bounds what each key holds at one time. */
export interface Semaphore {
  /** @returns releases the permits, once. @throws TidemarkError `limit_exceeded` */
  acquire(key: string, count?: number): () => void;
}

/** Something that may fail so many times in a second before it is not tried any more. */
export interface Failures {
  /** @throws TidemarkError `limit_exceeded` that tells when to come again */
  check(key: string): Promise<void>;
  note(key: string): Promise<void>;
}

export interface LimitOptions {
  readonly max: number;
  /** What the error says is too much: `handshakes from one address`. */
  readonly of: string;
}

/**
 * The limits of one process, by name. They are counted here and not in NATS: a limit protects the
 * process that it is counted in, and has to hold while NATS is away.
 */
export class Limits {
  readonly #hits;

  constructor(metrics: Metrics) {
    this.#hits = metrics.counter('limits_hit_total', 'Times that a named limit was reached.', [
      'limit',
    ]);
  }

  /** Counts that a limit was reached. */
  hit(limit: string): void {
    this.#hits.inc({ limit });
  }

  /** A rate for each key. What is known of a key is forgotten after a second without it. */
  rate(limit: string, { max, of }: LimitOptions): Rate {
    const limiter = new RateLimiterMemory({ points: max, duration: 1 });
    return {
      consume: async (key, count = 1) => {
        try {
          await limiter.consume(key, count);
        } catch (reason) {
          if (reason instanceof Error) throw reason;
          this.hit(limit);
          const retryAfterSeconds = Math.ceil((reason as RateLimiterRes).msBeforeNext / 1000) || 1;
          throw exceeded(`At most ${max} ${of} are taken in a second.`, retryAfterSeconds);
        }
      },
    };
  }

  /** Failures for each key, forgotten after a second without one. */
  failures(limit: string, { max, of }: LimitOptions): Failures {
    const limiter = new RateLimiterMemory({ points: max, duration: 1 });
    return {
      check: async (key) => {
        const failed = await limiter.get(key);
        if (failed === null || failed.consumedPoints < max) return;
        this.hit(limit);
        throw exceeded(`At most ${max} ${of} are taken in a second.`, 1);
      },
      note: async (key) => {
        // Those that were under way meanwhile go beyond it.
        await limiter.penalty(key);
      },
    };
  }

  /** A semaphore for each key. */
  semaphore(limit: string, { max, of }: LimitOptions): Semaphore {
    const taken = new Map<string, number>();
    return {
      acquire: (key, count = 1) => {
        const before = taken.get(key) ?? 0;
        if (before + count > max) {
          this.hit(limit);
          throw exceeded(`At most ${max} ${of} are taken at once.`, 1);
        }
        taken.set(key, before + count);
        let left = false;
        return () => {
          if (left) return;
          left = true;
          const others = (taken.get(key) ?? 0) - count;
          if (others > 0) taken.set(key, others);
          else taken.delete(key);
        };
      },
    };
  }
}

function exceeded(message: string, retryAfterSeconds: number): TidemarkError {
  return new TidemarkError('limit_exceeded', message, { retryAfterSeconds });
}
