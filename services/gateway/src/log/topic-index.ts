import { isLiteral } from '@tidemark/protocol';
import { type TokenNode, TokenTree, tokenAt } from './token-tree.ts';

/** Visits that searches may still make. Several searches can share it. */
export interface VisitBudget {
  left: number;
}

/** Values by topic. A search by pattern visits no topic that cannot match. */
export class TopicIndex<V> {
  readonly #byTopic = new Map<string, V>();
  readonly #tree = new TokenTree<V>();

  get size(): number {
    return this.#byTopic.size;
  }

  get(topic: string): V | undefined {
    return this.#byTopic.get(topic);
  }

  set(topic: string, value: V): void {
    this.#byTopic.set(topic, value);
    this.#tree.set(topic, value);
  }

  delete(topic: string): void {
    if (this.#byTopic.delete(topic)) this.#tree.delete(topic);
  }

  clear(): void {
    this.#byTopic.clear();
    this.#tree.clear();
  }

  /**
   * The values of the topics that a pattern matches; `undefined` when the search would visit more nodes
   * than the budget has left. It takes its visits from the budget.
   */
  find(pattern: string, budget: VisitBudget): V[] | undefined {
    if (isLiteral(pattern)) {
      const value = this.get(pattern);
      return value === undefined ? [] : [value];
    }
    const found: V[] = [];
    const open: Step<V>[] = [{ node: this.#tree.root, at: 0 }];
    for (let step = open.pop(); step; step = open.pop()) {
      if (--budget.left < 0) return undefined;
      const { node } = step;
      const at = node.label === '' ? step.at : matchLabel(node.label, pattern, step.at);
      if (at === MISS) continue;
      if ((at === ALL || at > pattern.length) && node.value !== undefined) found.push(node.value);
      if (!pushChildren(open, { node, at }, pattern, budget)) return undefined;
    }
    return found;
  }
}

/** Adds the children that may match. @returns false where the budget has too little left for them */
function pushChildren<V>(
  open: Step<V>[],
  { node, at }: Step<V>,
  pattern: string,
  budget: VisitBudget,
): boolean {
  if (!node.children || at > pattern.length) return true;
  const token = at === ALL ? '>' : tokenAt(pattern, at);
  if (token !== '*' && token !== '>') {
    const child = node.children.get(token);
    if (child) open.push({ node: child, at });
    return true;
  }
  // Checked before the steps are listed: a node may have hundreds of thousands of children.
  if (open.length + node.children.size > budget.left) return false;
  for (const child of node.children.values()) open.push({ node: child, at });
  return true;
}

/** A node on the way down, and where in the pattern its label begins: an index, or `ALL`. */
interface Step<V> {
  readonly node: TokenNode<V>;
  readonly at: number;
}

/** A `>` of the pattern matches everything from here on. */
const ALL = -1;
/** The pattern does not match. */
const MISS = -2;

/**
 * Matches the tokens of a label against those of a pattern from an index on.
 *
 * @returns the index behind them, beyond the pattern's length where the pattern ends; `ALL` or `MISS`
 */
function matchLabel(label: string, pattern: string, start: number): number {
  if (start === ALL) return ALL;
  let at = start;
  for (let from = 0; from < label.length; ) {
    if (at >= pattern.length) return MISS;
    const asked = tokenAt(pattern, at);
    if (asked === '>') return ALL;
    const token = tokenAt(label, from);
    if (asked !== '*' && asked !== token) return MISS;
    at += asked.length + 1;
    from += token.length + 1;
  }
  return at;
}
