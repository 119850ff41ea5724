/** A place in the patterns: what waits for patterns that end here, and the next tokens. */
interface Node<V> {
  readonly values: Set<V>;
  readonly children: Map<string, Node<V>>;
}

/** Memory of one token of a pattern in the tree, measured. */
const BYTES_PER_TOKEN = 350;

/** Most `*` of one pattern: each doubles the ways in which a topic may match. */
export const WAIT_WILDCARDS_MAX = 3;

/** The memory that patterns take in a tree, in bytes. */
export function treeBytes(patterns: readonly string[]): number {
  return patterns.reduce((sum, one) => sum + one.split('.').length * BYTES_PER_TOKEN, 0);
}

/**
 * Values by pattern; a look-up by topic finds them. Its cost follows from the tokens of the topic and not from the
 * number of patterns, because no pattern has more than `WAIT_WILDCARDS_MAX` times `*`.
 */
export class WaitTree<V> {
  readonly #root: Node<V> = newNode();

  add(pattern: string, value: V): void {
    let node = this.#root;
    for (const token of pattern.split('.')) {
      const next: Node<V> = node.children.get(token) ?? newNode();
      node.children.set(token, next);
      node = next;
    }
    node.values.add(value);
  }

  delete(pattern: string, value: V): void {
    remove(this.#root, pattern.split('.'), value);
  }

  /** Adds the values with a pattern that matches the topic. */
  collect(topic: string, found: Set<V>): void {
    if (this.#root.children.size > 0) descend(this.#root, topic.split('.'), 0, found);
  }
}

function newNode<V>(): Node<V> {
  return { values: new Set(), children: new Map() };
}

function descend<V>(node: Node<V>, tokens: readonly string[], at: number, found: Set<V>): void {
  const token = tokens[at];
  if (token === undefined) {
    for (const value of node.values) found.add(value);
    return;
  }
  for (const value of node.children.get('>')?.values ?? []) found.add(value);
  for (const name of [token, '*']) {
    const next = node.children.get(name);
    if (next) descend(next, tokens, at + 1, found);
  }
}

function remove<V>(node: Node<V>, [token, ...rest]: readonly string[], value: V): void {
  if (token === undefined) {
    node.values.delete(value);
    return;
  }
  const next = node.children.get(token);
  if (!next) return;
  remove(next, rest, value);
  if (next.values.size === 0 && next.children.size === 0) node.children.delete(token);
}
