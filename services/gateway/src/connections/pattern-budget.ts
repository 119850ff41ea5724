import { NO_OTHERS, type OtherProcesses } from '@tidemark/http';
import { TidemarkError } from '@tidemark/protocol';

/*
 * Measured memory of a pattern that is live: objects, the node of the hub's tree, and the text, which the tree
 * can hold a second time. The tables that match it while its subscription catches up take more for each token.
 */
const PATTERN_BYTES = 250;
const BYTES_PER_CHARACTER = 1.5;
const BYTES_PER_TOKEN = 120;

/** A type of a filter: its text with and without its `*`, of the subscription and of its connection's group. */
const TYPE_BYTES = 250;
const BYTES_PER_TYPE_CHARACTER = 2;

/**
 * With so many `*` in each pattern, the patterns of all users together have at most 700 ways to match a topic
 * of 16 tokens, and 42 for one of six. Each further one would double that.
 */
const FREE_WILDCARDS = 3;

/** The part of a total that is left for users who hold no more than the small part. */
const RESERVED_PART = 1 / 4;
const SMALL_PART = 1 / 100;

export interface PatternLimits {
  /** Bytes, as `patternBytes` counts them. */
  readonly patternBytesPerUserMax: number;
  readonly patternBytesMax: number;
  /** Tokens `*`, as `costlyWildcards` counts them. */
  readonly wildcardsPerUserMax: number;
  readonly wildcardsMax: number;
}

const UNLIMITED: PatternLimits = {
  patternBytesPerUserMax: Number.POSITIVE_INFINITY,
  patternBytesMax: Number.POSITIVE_INFINITY,
  wildcardsPerUserMax: Number.POSITIVE_INFINITY,
  wildcardsMax: Number.POSITIVE_INFINITY,
};

/** Limits what the patterns of all open subscriptions cost: memory, and time for each event. */
export class PatternBudget {
  readonly #bytes: SharedTotal;
  readonly #wildcards: SharedTotal;

  constructor(limits: PatternLimits = UNLIMITED, others: OtherProcesses = NO_OTHERS) {
    this.#bytes = new SharedTotal(
      others,
      { limit: 'pattern_bytes_per_user', max: limits.patternBytesPerUserMax },
      { limit: 'pattern_bytes', max: limits.patternBytesMax },
      'bytes of patterns',
    );
    this.#wildcards = new SharedTotal(
      others,
      { limit: 'wildcards_per_user', max: limits.wildcardsPerUserMax },
      { limit: 'wildcards', max: limits.wildcardsMax },
      `wildcards in patterns with more than ${FREE_WILDCARDS}`,
    );
  }

  /** What is held, by the names of the limits. */
  get held(): Readonly<Record<string, number>> {
    return { pattern_bytes: this.#bytes.held, wildcards: this.#wildcards.held };
  }

  /**
   * Charges a subscription to its user.
   *
   * @returns gives it back; further calls do nothing
   * @throws TidemarkError `limit_exceeded`, with the name of the limit
   */
  charge(user: string, patterns: readonly string[], types: readonly string[] = []): () => void {
    let bytes = types.reduce((sum, type) => sum + typeBytes(type), 0);
    let wildcards = 0;
    for (const pattern of patterns) {
      bytes += patternBytes(pattern);
      wildcards += costlyWildcards(pattern);
    }
    this.#bytes.add(user, bytes);
    try {
      this.#wildcards.add(user, wildcards);
    } catch (error) {
      this.#bytes.remove(user, bytes);
      throw error;
    }
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#bytes.remove(user, bytes);
      this.#wildcards.remove(user, wildcards);
    };
  }
}

/** The memory that a pattern counts for, in bytes. */
export function patternBytes(pattern: string): number {
  const tokens = countOf('.', pattern) + 1;
  const bytes = PATTERN_BYTES + BYTES_PER_CHARACTER * pattern.length + BYTES_PER_TOKEN * tokens;
  return Math.ceil(bytes);
}

/** The memory that a type of a filter counts for, in bytes. */
export function typeBytes(type: string): number {
  return TYPE_BYTES + BYTES_PER_TYPE_CHARACTER * type.length;
}

/** The `*` of a pattern that has more than the free ones; 0 for any other. */
export function costlyWildcards(pattern: string): number {
  const wildcards = countOf('*', pattern);
  return wildcards > FREE_WILDCARDS ? wildcards : 0;
}

function countOf(character: string, text: string): number {
  let count = 0;
  for (let at = text.indexOf(character); at !== -1; at = text.indexOf(character, at + 1)) count++;
  return count;
}

/** One limit, and the name that its refusals are counted under. */
interface Bound {
  readonly limit: string;
  readonly max: number;
}

/** What users hold of one thing, limited for each and for all. Who holds little finds a reserve. */
class SharedTotal {
  readonly #others: OtherProcesses;
  readonly #perUser: Bound;
  readonly #all: Bound;
  readonly #of: string;
  readonly #users = new Map<string, number>();
  #held = 0;

  constructor(others: OtherProcesses, perUser: Bound, all: Bound, of: string) {
    this.#others = others;
    this.#perUser = perUser;
    this.#all = all;
    this.#of = of;
  }

  get held(): number {
    return this.#held;
  }

  add(user: string, count: number): void {
    if (count === 0) return;
    const { max } = this.#all;
    const own = (this.#users.get(user) ?? 0) + count;
    const wanted = own + this.#others.heldElsewhere(this.#perUser.limit, user);
    if (wanted > this.#perUser.max) throw this.#exceeded(this.#perUser, 'one user');
    const isSmall = wanted <= max * SMALL_PART;
    const room = isSmall ? max : max * (1 - RESERVED_PART);
    const held = this.#held + this.#others.heldElsewhere(this.#all.limit, '');
    if (held + count > room) throw this.#exceeded(this.#all, 'all users');
    this.#users.set(user, own);
    this.#held += count;
    this.#tell(user, count);
  }

  remove(user: string, count: number): void {
    const before = this.#users.get(user) ?? 0;
    const given = Math.min(count, before);
    this.#held -= given;
    if (given < before) this.#users.set(user, before - given);
    else this.#users.delete(user);
    this.#tell(user, -given);
  }

  #tell(user: string, change: number): void {
    if (change === 0) return;
    this.#others.tellHeld(this.#perUser.limit, user, change);
    this.#others.tellHeld(this.#all.limit, '', change);
  }

  #exceeded({ limit, max }: Bound, whose: string): TidemarkError {
    const message = `At most ${max} ${this.#of} of ${whose} are accepted at once.`;
    return new TidemarkError('limit_exceeded', message, { limit, retryAfterSeconds: 1 });
  }
}
