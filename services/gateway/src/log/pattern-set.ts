import { createHash } from 'node:crypto';
import { overlaps, PatternMatcher, TypeFilter } from '@tidemark/protocol';

/** Longer keys are hashed, because groups and reads keep them beside the patterns. */
const KEY_LENGTH_MAX = 100;

/** With more patterns than this, overlaps are found with a matcher. */
const COMPARED_MAX = 4;

/** With more types than this, those of several subscriptions are not joined. It takes a millisecond. */
const MERGED_NAMES_MAX = 2000;

/**
 * The patterns of one or of several subscriptions, and the types of their events. Equal sets have equal keys.
 *
 * Most sets have one topic of one connection, and most are live, where nothing is matched here. They must be
 * small, so the matcher is made when it is needed, and forgotten when the subscription is live.
 */
export class PatternSet {
  /** Sorted, without duplicates. */
  readonly list: readonly string[];
  readonly key: string;
  readonly #types: TypeFilter | undefined;
  readonly #parts: readonly PatternSet[] | undefined;
  #joined: readonly [TypeFilter | undefined] | undefined;
  #matcher: PatternMatcher | undefined;

  /**
   * @param types what the events of all patterns are filtered by; all types if absent
   * @param parts the sets that it is the union of, if they differ in their types
   */
  constructor(patterns: Iterable<string>, types?: TypeFilter, parts?: readonly PatternSet[]) {
    this.list = [...new Set(patterns)].sort();
    this.#types = types?.isAll ? undefined : types;
    this.#parts = parts;
    const text = this.list.join(',');
    if (parts) this.key = typedKey(parts.map(({ key }) => key));
    else if (this.#types) this.key = typedKey([this.#types.key, text]);
    else this.key = text.length > KEY_LENGTH_MAX ? hash(text) : text;
  }

  static union(sets: Iterable<PatternSet>): PatternSet {
    const all = [...sets];
    const [first] = all;
    if (first && all.length === 1) return first;
    if (all.every((set) => !set.#types && !set.#parts)) {
      return new PatternSet(all.flatMap(({ list }) => list));
    }
    const parts = mergedParts(all.flatMap((set) => set.parts));
    const [part] = parts;
    if (part && parts.length === 1) return part;
    return new PatternSet(
      parts.flatMap(({ list }) => list),
      undefined,
      parts,
    );
  }

  /**
   * The types of all its events together; absent where some of its patterns want all types, and where they
   * are too many.
   */
  get types(): TypeFilter | undefined {
    if (!this.#parts) return this.#types;
    // Only who catches up asks, and then at each step.
    this.#joined ??= [joinedTypes(this.#parts)];
    return this.#joined[0];
  }

  /** Sets that together want the same, each with one filter by types for all of its patterns. */
  get parts(): readonly PatternSet[] {
    return this.#parts ?? [this];
  }

  /** Whether a topic is one of the patterns', whatever the type. */
  matches(topic: string): boolean {
    return this.#compiled().matches(topic);
  }

  /** Whether both sets want some common event. Many sets are compared with one as their argument. */
  overlaps(other: PatternSet): boolean {
    if (!this.#overlapsTopics(other)) return false;
    if (!this.#parts && !other.#parts) return overlapTypes(this, other);
    return this.parts.some((mine) =>
      other.parts.some((theirs) => overlapTypes(mine, theirs) && mine.#overlapsTopics(theirs)),
    );
  }

  #overlapsTopics(other: PatternSet): boolean {
    if (this.list.length * other.list.length <= COMPARED_MAX) {
      return this.list.some((mine) => other.list.some((theirs) => overlaps(mine, theirs)));
    }
    const matcher = other.#compiled();
    return this.list.some((mine) => matcher.overlaps(mine));
  }

  /** Forgets what was made to match topics. It is made again when it is needed. */
  forgetMatcher(): void {
    this.#matcher = undefined;
  }

  #compiled(): PatternMatcher {
    this.#matcher ??= new PatternMatcher(this.list);
    return this.#matcher;
  }
}

function joinedTypes(parts: readonly PatternSet[]): TypeFilter | undefined {
  const filters = parts.flatMap(({ types }) => types ?? []);
  const names = filters.reduce((sum, { list }) => sum + list.length, 0);
  const isUsable = filters.length === parts.length && names <= MERGED_NAMES_MAX;
  return isUsable ? TypeFilter.union(filters) : undefined;
}

/**
 * Sets that want the same as others together. Each pattern is in one of them, with the types of all who
 * want it, so that an event is filtered once for each pattern that it matches and not for each subscription.
 * Where the types are too many for that, a pattern is in several.
 */
function mergedParts(sets: readonly PatternSet[]): PatternSet[] {
  const filters = new Map(sets.map(({ types }) => [types?.key ?? '', types]));
  const wanting = new Map<string, Set<string>>();
  for (const { list, types } of sets) {
    for (const pattern of list) {
      const keys = wanting.get(pattern) ?? new Set();
      wanting.set(pattern, keys.add(types?.key ?? ''));
    }
  }
  let left = MERGED_NAMES_MAX;
  const merge = (keys: ReadonlySet<string>): (TypeFilter | undefined)[] => {
    const all = [...keys].sort().map((key) => filters.get(key));
    const typed = all.flatMap((filter) => filter ?? []);
    if (typed.length < all.length) return [undefined];
    if (typed.length > 1) left -= typed.reduce((sum, { list }) => sum + list.length, 0);
    return left >= 0 ? [TypeFilter.union(typed)] : typed;
  };
  return gathered(wanting, merge);
}

/** One set for each filter, with its patterns, in the order of their keys. */
function gathered(
  wanting: ReadonlyMap<string, ReadonlySet<string>>,
  merge: (keys: ReadonlySet<string>) => readonly (TypeFilter | undefined)[],
): PatternSet[] {
  const merged = new Map<string, readonly (TypeFilter | undefined)[]>();
  const parts = new Map<string, { types: TypeFilter | undefined; patterns: string[] }>();
  for (const pattern of [...wanting.keys()].sort()) {
    const keys = wanting.get(pattern) ?? new Set();
    const combination = [...keys].sort().join(' ');
    const filters = merged.get(combination) ?? merge(keys);
    merged.set(combination, filters);
    for (const types of filters) {
      const part = parts.get(types?.key ?? '') ?? { types, patterns: [] };
      parts.set(types?.key ?? '', part);
      part.patterns.push(pattern);
    }
  }
  const sorted = [...parts].sort(([left], [right]) => (left < right ? -1 : 1));
  return sorted.map(([, { types, patterns }]) => new PatternSet(patterns, types));
}

function overlapTypes({ types: mine }: PatternSet, { types: theirs }: PatternSet): boolean {
  return !mine || !theirs || mine.overlaps(theirs);
}

/** Types may be long, so that these keys are always hashed. No other key begins like this. */
function typedKey(texts: readonly string[]): string {
  return `~${hash(JSON.stringify(texts))}`;
}

/** No pattern has an equals sign, so it is the key of no short set. */
function hash(text: string): string {
  return `=${createHash('sha256').update(text).digest('base64')}`;
}
