import { isLiteral } from '@tidemark/protocol';
import { type TokenNode, TokenTree, tokenAt } from './token-tree.ts';

/** The values of one pattern. Most patterns have one value, which needs no set. */
type Values<V> = V | Set<V>;

/**
 * Values by pattern; a look-up by topic finds them. Its cost grows with the tokens of the topic and the
 * wildcards that match them, not with the number of patterns.
 */
export class PatternTree<V extends object> {
  readonly #literals = new Map<string, Values<V>>();
  readonly #wildcards = new TokenTree<Values<V>>();

  add(pattern: string, value: V): void {
    const patterns = this.#patternsLike(pattern);
    const present = patterns.get(pattern);
    if (present instanceof Set) present.add(value);
    else if (present === undefined) patterns.set(pattern, value);
    else if (present !== value) patterns.set(pattern, new Set([present, value]));
  }

  delete(pattern: string, value: V): void {
    const patterns = this.#patternsLike(pattern);
    const present = patterns.get(pattern);
    if (present instanceof Set) present.delete(value);
    if (present === value || (present instanceof Set && present.size === 0)) {
      patterns.delete(pattern);
    }
  }

  /** The values with a pattern that matches the topic, without duplicates. */
  matching(topic: string): V[] {
    const literal = this.#literals.get(topic);
    const { root } = this.#wildcards;
    if (!root.children) return literal instanceof Set ? [...literal] : literal ? [literal] : [];
    const found = new Set<V>();
    addAll(literal, found);
    descend(root, topic, 0, found);
    return [...found];
  }

  #patternsLike(pattern: string): Map<string, Values<V>> | TokenTree<Values<V>> {
    return isLiteral(pattern) ? this.#literals : this.#wildcards;
  }
}

function addAll<V extends object>(values: Values<V> | undefined, found: Set<V>): void {
  if (values instanceof Set) for (const value of values) found.add(value);
  else if (values !== undefined) found.add(values);
}

/** @param at where in the topic the tokens behind the node begin; beyond its length at its end */
function descend<V extends object>(
  node: TokenNode<Values<V>>,
  topic: string,
  at: number,
  found: Set<V>,
): void {
  if (at >= topic.length) {
    addAll(node.value, found);
    return;
  }
  const { children } = node;
  if (!children) return;
  const exact = children.get(tokenAt(topic, at));
  if (exact) enter(exact, topic, at, found);
  const any = children.get('*');
  if (any) enter(any, topic, at, found);
  addAll(children.get('>')?.value, found);
}

/** Goes on below a node if the tokens of its label match the topic from an index on. */
function enter<V extends object>(
  node: TokenNode<Values<V>>,
  topic: string,
  start: number,
  found: Set<V>,
): void {
  const { label } = node;
  let at = start;
  for (let from = 0; from < label.length; ) {
    if (at >= topic.length) return;
    const token = tokenAt(label, from);
    if (token === '>') {
      addAll(node.value, found);
      return;
    }
    const given = tokenAt(topic, at);
    if (token !== '*' && token !== given) return;
    from += token.length + 1;
    at += given.length + 1;
  }
  descend(node, topic, at, found);
}
