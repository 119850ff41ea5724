import { fullTime, timeOfDay } from '../ui/format.ts';
import { href } from '../ui/route.ts';
import type { FeedItem } from './event-feed.ts';
import { preview } from './preview.ts';
import { useNarrow } from './use-narrow.ts';
import { VirtualList } from './virtual-list.tsx';

/** Events, one a line, each a link to its page. */
export function EventList({ items }: { items: readonly FeedItem[] }) {
  const rowHeight = useNarrow() ? 56 : 30;
  return (
    <VirtualList
      class="events-list"
      role="list"
      label="Events, newest first"
      rows={items.length}
      rowHeight={rowHeight}
      keyOf={(index) => items[index]?.cursor}
      render={(index) => {
        const item = items[index];
        return item && <Row key={item.cursor} item={item} height={rowHeight} />;
      }}
    />
  );
}

function Row({ item: { cursor, event, isNew }, height }: { item: FeedItem; height: number }) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: between it and its list are the elements that place it
    <div role="listitem" style={{ height: `${height}px` }}>
      <a class={isNew ? 'events-row new' : 'events-row'} href={href('event', { cursor })}>
        <time class="quiet" dateTime={event.time} title={event.time && fullTime(event.time)}>
          {event.time ? timeOfDay(event.time) : '–'}
        </time>
        <span class="events-topic">{event.topic}</span>
        <span class="events-type">{event.type}</span>
        <code class="events-data">{preview(event)}</code>
      </a>
    </div>
  );
}
