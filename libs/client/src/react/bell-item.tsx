import type { ReactElement, ReactNode } from 'react';
import type { InboxItem } from '../inbox/types.ts';
import type { BellLabels } from './bell-labels.ts';
import { type PartProps, UNSEEN } from './bell-parts.ts';

interface BellItemProps {
  readonly item: InboxItem;
  /** It is the one in the tab order. */
  readonly isCurrent: boolean;
  readonly labels: BellLabels;
  readonly part: PartProps;
  readonly renderItem: ((item: InboxItem) => ReactNode) | undefined;
  readonly onSelect: (item: InboxItem) => void;
  readonly onFocus: (cursor: string) => void;
}

/** One item of a bell. */
export function BellItem(props: BellItemProps): ReactElement {
  const { item, isCurrent, labels, part, renderItem, onSelect, onFocus } = props;
  const { read, seen } = item.state;
  return (
    <li data-read={read} data-seen={seen} {...part('item')}>
      <button
        type="button"
        tabIndex={isCurrent ? 0 : -1}
        onFocus={() => onFocus(item.cursor)}
        onClick={() => onSelect(item)}
      >
        {!read && <span style={UNSEEN}>{labels.unread} </span>}
        {renderItem ? renderItem(item) : <EventText item={item} labels={labels} />}
      </button>
    </li>
  );
}

/** `data.title` where there is such a text, else the type; and the time. */
function EventText({ item, labels }: Pick<BellItemProps, 'item' | 'labels'>): ReactElement {
  const { data, type, time } = item.event;
  const given = (data as { title?: unknown } | null | undefined)?.title;
  const title = typeof given === 'string' ? given : type;
  return (
    <>
      {item.state.read ? title : <strong>{title}</strong>}
      {time !== undefined && (
        <>
          {' '}
          <time dateTime={time}>{labels.time(new Date(time))}</time>
        </>
      )}
    </>
  );
}
