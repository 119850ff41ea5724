import type { Follow, InboxPattern } from './inbox-state.ts';
import { isReservedTopic } from './reserved-topics.ts';
import { matches } from './topics.ts';
import { TypeFilter } from './type-filter.ts';

/** Most topics whose rule is remembered. */
const RULES_MAX = 10_000;

/** What an item is judged by. */
export interface ItemHeader {
  readonly sequence: number;
  readonly topic: string;
  readonly type: string;
  /** Milliseconds since 1970; absent where it never expires. */
  readonly expiresMs?: number;
}

/** What of an inbox decides which events are its items. */
export interface ItemRules {
  /** The patterns of the topics that are the user's own. */
  readonly topics: readonly string[];
  readonly follows: readonly Follow[];
  readonly mutes: readonly InboxPattern[];
}

/** What the rules say of one topic. */
interface TopicRule {
  readonly isOwn: boolean;
  readonly follows: readonly { readonly since: number; readonly types: TypeFilter | undefined }[];
  /** `undefined` among them: the whole topic is muted. */
  readonly mutes: readonly (TypeFilter | undefined)[];
}

/**
 * Tells the items of an inbox from all other events: they match a topic that is the user's own, or one that the user
 * follows and that they came after the follow, and are not muted. Events of inboxes are never items.
 */
export class InboxFilter {
  readonly #rules: ItemRules;
  readonly #byTopic = new Map<string, TopicRule>();

  constructor(rules: ItemRules) {
    this.#rules = rules;
  }

  /** The patterns that all items match. */
  get patterns(): readonly string[] {
    const { topics, follows } = this.#rules;
    return [...new Set([...topics, ...follows.map(({ pattern }) => pattern)])];
  }

  /** Whether the type of an event makes a difference. */
  get usesTypes(): boolean {
    const { follows, mutes } = this.#rules;
    return [...follows, ...mutes].some(({ types }) => types !== undefined);
  }

  accepts({ sequence, topic, type }: ItemHeader): boolean {
    const { isOwn, follows, mutes } = this.#ruleOf(topic);
    if (mutes.some((types) => types?.accepts(type) ?? true)) return false;
    if (isOwn) return true;
    return follows.some(({ since, types }) => sequence > since && (types?.accepts(type) ?? true));
  }

  #ruleOf(topic: string): TopicRule {
    const known = this.#byTopic.get(topic);
    if (known) return known;
    const rule = this.#judge(topic);
    if (this.#byTopic.size >= RULES_MAX) this.#byTopic.clear();
    this.#byTopic.set(topic, rule);
    return rule;
  }

  #judge(topic: string): TopicRule {
    if (isReservedTopic(topic)) return { isOwn: false, follows: [], mutes: [] };
    const { topics, follows, mutes } = this.#rules;
    const matching = <T extends InboxPattern>(list: readonly T[]) =>
      list.filter(({ pattern }) => matches(pattern, topic));
    return {
      isOwn: topics.some((pattern) => matches(pattern, topic)),
      follows: matching(follows).map(({ since, types }) => ({ since, types: toFilter(types) })),
      mutes: matching(mutes).map(({ types }) => toFilter(types)),
    };
  }
}

function toFilter(types: readonly string[] | undefined): TypeFilter | undefined {
  return types && new TypeFilter(types);
}
