import { isLiteral } from '@tidemark/protocol';

interface Node<V> {
  readonly children: Map<string, Node<V>>;
  /** The values of the pattern that ends here. */
  readonly here: Set<V>;
  /** The values of the pattern that ends here with a further `>`. */
  readonly below: Set<V>;
}

/**
 * Values by pattern; a look-up by topic finds them. Its cost grows with the tokens of the topic and the
 * wildcards that match them, not with the number of patterns.
 */
export class PatternTree<V> {
  readonly #literals = new Map<string, Set<V>>();
  readonly #root: Node<V> = createNode();
  #wildcards = 0;

  add(pattern: string, value: V): void {
    if (isLiteral(pattern)) {
      const values = this.#literals.get(pattern);
      if (values) values.add(value);
      else this.#literals.set(pattern, new Set([value]));
      return;
    }
    this.#wildcards++;
    let node = this.#root;
    for (const token of pathOf(pattern)) {
      let child = node.children.get(token);
      if (!child) {
        child = createNode();
        node.children.set(token, child);
      }
      node = child;
    }
    endOf(pattern, node).add(value);
  }

  delete(pattern: string, value: V): void {
    if (isLiteral(pattern)) {
      const values = this.#literals.get(pattern);
      values?.delete(value);
      if (values?.size === 0) this.#literals.delete(pattern);
      return;
    }
    const tokens = pathOf(pattern);
    const path = [this.#root];
    for (const token of tokens) {
      const next = path.at(-1)?.children.get(token);
      if (!next) return;
      path.push(next);
    }
    const last = path.at(-1);
    if (last && endOf(pattern, last).delete(value)) this.#wildcards--;
    for (let depth = tokens.length; depth > 0; depth--) {
      const node = path[depth];
      if (!node || node.children.size + node.here.size + node.below.size > 0) return;
      path[depth - 1]?.children.delete(tokens[depth - 1] ?? '');
    }
  }

  /** The values with a pattern that matches the topic, without duplicates. */
  matching(topic: string): V[] {
    const found = new Set(this.#literals.get(topic));
    if (this.#wildcards > 0) descend(this.#root, topic.split('.'), 0, found);
    return [...found];
  }
}

function descend<V>(node: Node<V>, tokens: readonly string[], depth: number, found: Set<V>): void {
  const token = tokens[depth];
  if (token === undefined) {
    for (const value of node.here) found.add(value);
    return;
  }
  for (const value of node.below) found.add(value);
  const exact = node.children.get(token);
  if (exact) descend(exact, tokens, depth + 1, found);
  const any = node.children.get('*');
  if (any) descend(any, tokens, depth + 1, found);
}

function pathOf(pattern: string): readonly string[] {
  const tokens = pattern.split('.');
  return tokens.at(-1) === '>' ? tokens.slice(0, -1) : tokens;
}

function endOf<V>(pattern: string, node: Node<V>): Set<V> {
  return pattern.endsWith('>') ? node.below : node.here;
}

function createNode<V>(): Node<V> {
  return { children: new Map(), here: new Set(), below: new Set() };
}
