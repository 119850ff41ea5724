import type { TopicNode, TopicRow } from './topic-tree.ts';

/** What a key does in the tree; paths, and the place whose events are to be shown. */
export interface TreeKey {
  readonly focus?: string | undefined;
  readonly toggle?: string;
  readonly select?: TopicNode;
}

const PAGE_ROWS = 15;

/** What a key does (as the tree pattern of the ARIA practices has it). @returns `undefined` for a key of others */
export function treeKey(key: string, rows: readonly TopicRow[], at: number): TreeKey | undefined {
  const row = rows[at];
  const to = (index: number) => ({
    focus: rows[Math.min(rows.length - 1, Math.max(0, index))]?.node.path,
  });
  switch (key) {
    case 'ArrowDown':
      return to(at + 1);
    case 'ArrowUp':
      return to(at - 1);
    case 'PageDown':
      return to(at + PAGE_ROWS);
    case 'PageUp':
      return to(at - PAGE_ROWS);
    case 'Home':
      return to(0);
    case 'End':
      return to(rows.length - 1);
    case 'ArrowRight':
      if (!row || row.node.children.size === 0) return {};
      return row.isOpen ? to(at + 1) : { focus: row.node.path, toggle: row.node.path };
    case 'ArrowLeft':
      if (row?.isOpen) return { focus: row.node.path, toggle: row.node.path };
      return to(parentOf(rows, at));
    case 'Enter':
    case ' ':
      return row ? { focus: row.node.path, select: row.node } : {};
    default:
      return undefined;
  }
}

function parentOf(rows: readonly TopicRow[], at: number): number {
  const level = rows[at]?.level ?? 1;
  return rows.findLastIndex((row, index) => index < at && row.level < level);
}
