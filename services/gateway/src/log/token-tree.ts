/** A place in the tree. Its tokens are those of its parent and the label. */
export interface TokenNode<V> {
  /** The tokens between the parent and this node, joined by dots. Chains without a fork are one node. */
  label: string;
  /** By the first token of their labels; absent while there are none. */
  children: Map<string, TokenNode<V>> | undefined;
  value: V | undefined;
}

/**
 * Values by tokens that are joined by dots. A name takes one node, and a second one where it forks off
 * another, however many tokens it has: topics and patterns of 16 tokens would else take 16 times as much
 * memory as their text.
 */
export class TokenTree<V> {
  readonly root: TokenNode<V> = { label: '', children: undefined, value: undefined };

  get(name: string): V | undefined {
    const path = this.#pathTo(name);
    return path?.at(-1)?.value;
  }

  set(name: string, value: V): void {
    let node = this.root;
    let at = 0;
    while (at < name.length) {
      const token = tokenAt(name, at);
      const child = node.children?.get(token);
      if (!child) {
        node.children ??= new Map();
        node.children.set(token, { label: name.slice(at), children: undefined, value });
        return;
      }
      const common = commonTokens(child.label, name, at);
      node = common === child.label.length ? child : split(node, child, token, common);
      at += common + 1;
    }
    node.value = value;
  }

  delete(name: string): void {
    const path = this.#pathTo(name);
    const node = path?.at(-1);
    if (!path || !node) return;
    node.value = undefined;
    const parent = path.at(-2);
    if (parent && !node.children) {
      removeChild(parent, node);
      joinWithChild(parent, path.at(-3));
    } else joinWithChild(node, parent);
  }

  clear(): void {
    this.root.children = undefined;
  }

  /** The nodes from the root to a name; `undefined` where no node ends with it. */
  #pathTo(name: string): TokenNode<V>[] | undefined {
    const path = [this.root];
    let node: TokenNode<V> | undefined = this.root;
    for (let at = 0; at < name.length; at += node.label.length + 1) {
      node = node.children?.get(tokenAt(name, at));
      if (!node || commonTokens(node.label, name, at) < node.label.length) return undefined;
      path.push(node);
    }
    return path;
  }
}

/** The token that begins at an index. */
export function tokenAt(text: string, at: number): string {
  const dot = text.indexOf('.', at);
  return dot === -1 ? text.slice(at) : text.slice(at, dot);
}

/** How long the whole tokens are that a label has in common with a name from an index on. */
function commonTokens(label: string, name: string, at: number): number {
  let common = 0;
  for (let index = 0; ; index++) {
    const labelCode = index < label.length ? label.charCodeAt(index) : DOT;
    const nameCode = at + index < name.length ? name.charCodeAt(at + index) : DOT;
    if (labelCode !== nameCode) return common;
    if (labelCode !== DOT) continue;
    common = index;
    if (index >= label.length || at + index >= name.length) return common;
  }
}

const DOT = '.'.charCodeAt(0);

/** Puts a node between a parent and its child, where the label of the child forks. */
function split<V>(
  parent: TokenNode<V>,
  child: TokenNode<V>,
  token: string,
  common: number,
): TokenNode<V> {
  const fork: TokenNode<V> = {
    label: child.label.slice(0, common),
    children: new Map(),
    value: undefined,
  };
  child.label = child.label.slice(common + 1);
  fork.children?.set(tokenAt(child.label, 0), child);
  parent.children?.set(token, fork);
  return fork;
}

function removeChild<V>(parent: TokenNode<V>, child: TokenNode<V>): void {
  parent.children?.delete(tokenAt(child.label, 0));
  if (parent.children?.size === 0) parent.children = undefined;
}

/** Makes a node that is neither a fork nor a name one with its child. */
function joinWithChild<V>(node: TokenNode<V>, parent: TokenNode<V> | undefined): void {
  const [child] = node.children?.size === 1 ? node.children.values() : [];
  if (!child || !parent || node.value !== undefined) return;
  child.label = `${node.label}.${child.label}`;
  parent.children?.set(tokenAt(node.label, 0), child);
}
