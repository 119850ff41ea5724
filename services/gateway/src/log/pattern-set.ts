import { createHash } from 'node:crypto';
import { overlaps, PatternMatcher, TypeFilter } from '@tidemark/protocol';

/** Longer keys are hashed, because groups and reads keep them beside the patterns. */
const KEY_LENGTH_MAX = 100;

/** With more patterns than this, overlaps are found with a matcher. */
const COMPARED_MAX = 4;

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
  /** The types of all its events together; absent where some of its patterns want all types. */
  readonly types: TypeFilter | undefined;
  /** One set for each filter by types, if there are different ones. A pattern may be in several. */
  readonly #parts: readonly PatternSet[] | undefined;
  #matcher: PatternMatcher | undefined;

  /** @param types what the events of all patterns are filtered by; all types if absent */
  constructor(patterns: Iterable<string>, types?: TypeFilter, parts?: readonly PatternSet[]) {
    this.list = [...new Set(patterns)].sort();
    this.types = types?.isAll ? undefined : types;
    this.#parts = parts;
    const text = this.list.join(',');
    if (parts) this.key = typedKey(parts.map(({ key }) => key));
    else if (this.types) this.key = typedKey([this.types.key, text]);
    else this.key = text.length > KEY_LENGTH_MAX ? hash(text) : text;
  }

  static union(sets: Iterable<PatternSet>): PatternSet {
    const all = [...sets];
    const [first] = all;
    if (first && all.length === 1) return first;
    if (all.every((set) => !set.types && !set.#parts)) {
      return new PatternSet(all.flatMap(({ list }) => list));
    }
    const parts = partsByTypes(all.flatMap((set) => set.parts));
    const [part] = parts;
    if (part && parts.length === 1) return part;
    const filters = all.flatMap(({ types }) => types ?? []);
    const types = filters.length === all.length ? TypeFilter.union(filters) : undefined;
    return new PatternSet(
      parts.flatMap(({ list }) => list),
      types,
      parts,
    );
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

/** Gathers the patterns of each filter by types, in an order of their own. */
function partsByTypes(sets: readonly PatternSet[]): PatternSet[] {
  const byTypes = new Map<string, PatternSet[]>();
  for (const set of sets) {
    const key = set.types?.key ?? '';
    const same = byTypes.get(key);
    if (same) same.push(set);
    else byTypes.set(key, [set]);
  }
  const keys = [...byTypes.keys()].sort();
  return keys.map((key) => {
    const same = byTypes.get(key) ?? [];
    return new PatternSet(
      same.flatMap(({ list }) => list),
      same[0]?.types,
    );
  });
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
