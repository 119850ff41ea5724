/** A topic as `GET /v1/topics` lists it (PROTOCOL.md section 11.2). */
export interface TopicCount {
  readonly topic: string;
  /** Its events in the archive. */
  readonly count: number;
  readonly first: string;
  readonly last: string;
}

/** A place in the tree: all topics that begin with the same tokens. */
export interface TopicNode {
  /** The last token of `path`; empty at the root. */
  readonly token: string;
  /** All tokens down to here, joined by dots; empty at the root. */
  readonly path: string;
  /** The topic of this very name, where there is one. */
  own: TopicCount | undefined;
  /** How many topics are here and below, and how many events they have. */
  topics: number;
  events: number;
  /** In the order of their tokens, as the service lists topics. */
  readonly children: Map<string, TopicNode>;
}

/** One line of the tree as it is shown. */
export interface TopicRow {
  readonly node: TopicNode;
  /** 1 at the top. */
  readonly level: number;
  readonly isOpen: boolean;
  /** Where it stands among its siblings, from 1, and how many these are. */
  readonly place: number;
  readonly siblings: number;
}

/** Makes the tree of a list of topics. */
export function buildTree(topics: readonly TopicCount[]): TopicNode {
  const root = emptyNode('', '');
  for (const topic of topics) insert(root, topic);
  return root;
}

function insert(root: TopicNode, topic: TopicCount): void {
  let node = root;
  count(node, topic);
  for (const token of topic.topic.split('.')) {
    let child = node.children.get(token);
    if (!child) {
      child = emptyNode(token, node.path === '' ? token : `${node.path}.${token}`);
      node.children.set(token, child);
    }
    count(child, topic);
    node = child;
  }
  node.own = topic;
}

function count(node: TopicNode, topic: TopicCount): void {
  node.topics++;
  node.events += topic.count;
}

function emptyNode(token: string, path: string): TopicNode {
  return { token, path, own: undefined, topics: 0, events: 0, children: new Map() };
}

/** The lines that are shown: the children of the root, and those of what is open. */
export function visibleRows(root: TopicNode, open: ReadonlySet<string>): TopicRow[] {
  const rows: TopicRow[] = [];
  const add = (parent: TopicNode, level: number): void => {
    let place = 0;
    for (const node of parent.children.values()) {
      const isOpen = node.children.size > 0 && open.has(node.path);
      rows.push({ node, level, isOpen, place: ++place, siblings: parent.children.size });
      if (isOpen) add(node, level + 1);
    }
  };
  add(root, 1);
  return rows;
}

/** The pattern of all that a place in the tree stands for: its topic, or everything below it. */
export function patternOf({ path, own, children }: TopicNode): string {
  if (path === '') return '>';
  return children.size === 0 || own ? path : `${path}.>`;
}

/** The paths above a topic or pattern, which are open where it is to be seen: `a` and `a.b` of `a.b.c`. */
export function pathsAbove(pattern: string): string[] {
  const tokens = pattern.split('.').slice(0, -1);
  return tokens.map((_, index) => tokens.slice(0, index + 1).join('.'));
}
