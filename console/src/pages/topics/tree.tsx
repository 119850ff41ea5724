import { useState } from 'preact/hooks';
import { useNarrow } from '../../events/use-narrow.ts';
import { VirtualList } from '../../events/virtual-list.tsx';
import { count, short } from '../../ui/format.ts';
import { Icon } from '../../ui/icon.tsx';
import { type Reading, ratePerSecond } from './rates.ts';
import { patternOf, type TopicRow, visibleRows } from './topic-tree.ts';
import { treeKey } from './tree-keys.ts';

interface TreeProps {
  readonly now: Reading;
  readonly before: Reading | undefined;
  readonly open: ReadonlySet<string>;
  /** Opens a place of the tree, or closes it. */
  readonly toggle: (path: string) => void;
  /** The pattern whose events are shown. */
  readonly selected: string;
  readonly select: (pattern: string) => void;
}

/** Topics as a tree of their tokens. Arrow keys move in it, right and left open and close, Enter shows the events. */
export function Tree({ now, before, open, toggle, selected, select }: TreeProps) {
  const rows = visibleRows(now.root, open);
  const chosen = rows.findIndex(({ node }) => patternOf(node) === selected);
  const [focus, setFocus] = useState<string>();
  const focused = rows.findIndex(({ node }) => node.path === focus);
  const at = focused >= 0 ? focused : chosen;
  const rowHeight = useNarrow() ? 40 : 28;
  return (
    <VirtualList
      class="topics-tree"
      role="tree"
      label="Topics"
      rows={rows.length}
      rowHeight={rowHeight}
      reveal={at}
      active={rows[at] && idOf(rows[at])}
      onKeyDown={(event) => {
        const done = treeKey(event.key, rows, at);
        if (!done) return;
        event.preventDefault();
        if (done.toggle !== undefined) toggle(done.toggle);
        if (done.focus !== undefined) setFocus(done.focus);
        if (done.select) select(patternOf(done.select));
      }}
      render={(index) => {
        const row = rows[index];
        if (!row) return null;
        return (
          <Row
            key={row.node.path}
            row={row}
            height={rowHeight}
            isAt={index === at}
            isSelected={index === chosen}
            rate={ratePerSecond(row.node.path, before, now)}
            toggle={toggle}
            select={(pattern) => {
              setFocus(row.node.path);
              select(pattern);
            }}
          />
        );
      }}
    />
  );
}

interface RowProps extends Pick<TreeProps, 'toggle' | 'select'> {
  readonly row: TopicRow;
  readonly height: number;
  readonly isAt: boolean;
  readonly isSelected: boolean;
  readonly rate: number | undefined;
}

function Row({ row, height, isAt, isSelected, rate, toggle, select }: RowProps) {
  const { node, level, isOpen, place, siblings } = row;
  const isBranch = node.children.size > 0;
  return (
    // biome-ignore lint/a11y/useFocusableInteractive: `aria-activedescendant` of the tree names it
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree as a whole has the focus and hears the keys
    <div
      id={idOf(row)}
      role="treeitem"
      aria-level={level}
      aria-posinset={place}
      aria-setsize={siblings}
      aria-selected={isSelected}
      aria-expanded={isBranch ? isOpen : undefined}
      class={`topics-row ${isAt ? 'at' : ''}`}
      title={node.own && `Its newest event is at ${node.own.last}`}
      style={{ height: `${height}px`, paddingLeft: `${8 + (level - 1) * 16}px` }}
      onClick={(event) => {
        const isArrow = (event.target as Element).closest('.topics-arrow') !== null;
        if (isBranch && (isArrow || !isOpen)) toggle(node.path);
        if (!isArrow) select(patternOf(node));
      }}
    >
      <span class={`topics-arrow ${isOpen ? 'open' : ''}`}>{isBranch && <Icon name="next" />}</span>
      <span class={node.own ? 'topics-name' : 'topics-name branch'}>{node.token}</span>
      {isBranch && <span class="quiet topics-below">{count(node.topics)}</span>}
      <span class="topics-rate">{rate ? `${short(rate)}/s` : ''}</span>
      <span class="topics-count">{short(node.events)}</span>
    </div>
  );
}

function idOf({ node }: TopicRow): string {
  return `topic-${node.path}`;
}
