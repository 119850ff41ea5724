interface Node<V> {
  readonly children: Map<string, Node<V>>;
  value: V | undefined;
}

/** Values by topic. A search by pattern visits no topic that cannot match. */
export class TopicIndex<V> {
  readonly #byTopic = new Map<string, V>();
  readonly #root: Node<V> = { children: new Map(), value: undefined };

  get size(): number {
    return this.#byTopic.size;
  }

  get(topic: string): V | undefined {
    return this.#byTopic.get(topic);
  }

  set(topic: string, value: V): void {
    this.#byTopic.set(topic, value);
    let node = this.#root;
    for (const token of topic.split('.')) {
      let child = node.children.get(token);
      if (!child) {
        child = { children: new Map(), value: undefined };
        node.children.set(token, child);
      }
      node = child;
    }
    node.value = value;
  }

  delete(topic: string): void {
    if (!this.#byTopic.delete(topic)) return;
    const tokens = topic.split('.');
    const path = [this.#root];
    for (const token of tokens) {
      const next = path.at(-1)?.children.get(token);
      if (!next) return;
      path.push(next);
    }
    const leaf = path.at(-1);
    if (leaf) leaf.value = undefined;
    for (let depth = tokens.length; depth > 0; depth--) {
      const node = path[depth];
      if (!node || node.value !== undefined || node.children.size > 0) return;
      path[depth - 1]?.children.delete(tokens[depth - 1] ?? '');
    }
  }

  clear(): void {
    this.#byTopic.clear();
    this.#root.children.clear();
  }

  /**
   * The values of the topics that a pattern matches; `undefined` when the search would visit
   * more than `visitsMax` nodes.
   */
  find(pattern: string, visitsMax: number): V[] | undefined {
    const tokens = pattern.split('.');
    const found: V[] = [];
    const open: Step<V>[] = [{ node: this.#root, depth: 0, ends: false }];
    for (let visits = 0; visits <= visitsMax; visits++) {
      const step = open.pop();
      if (!step) return found;
      const { node, depth } = step;
      if ((step.ends || depth === tokens.length) && node.value !== undefined)
        found.push(node.value);
      // Checked before the steps are listed: a node may have hundreds of thousands of children.
      if (open.length + node.children.size > visitsMax && isWildcard(tokens[depth])) {
        return undefined;
      }
      open.push(...stepsBelow(node, tokens[depth], depth));
    }
    return undefined;
  }
}

/** A node on the way down, and the number of pattern tokens matched so far. */
interface Step<V> {
  readonly node: Node<V>;
  readonly depth: number;
  /** Whether a `>` above matches a topic that ends here. */
  readonly ends: boolean;
}

function isWildcard(token: string | undefined): boolean {
  return token === '*' || token === '>';
}

function stepsBelow<V>(node: Node<V>, token: string | undefined, depth: number): Step<V>[] {
  if (token === undefined) return [];
  if (token === '>') {
    return [...node.children.values()].map((child) => ({ node: child, depth, ends: true }));
  }
  const next = depth + 1;
  if (token === '*') {
    return [...node.children.values()].map((child) => ({ node: child, depth: next, ends: false }));
  }
  const child = node.children.get(token);
  return child ? [{ node: child, depth: next, ends: false }] : [];
}
