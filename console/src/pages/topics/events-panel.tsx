import { useState } from 'preact/hooks';
import type { EventFeed, FeedChoice, FeedItem } from '../../events/event-feed.ts';
import { EventList } from '../../events/event-list.tsx';
import { StatusBadge } from '../../events/status-badge.tsx';
import { hasWords, wordsOf } from '../../events/text-filter.ts';
import { count } from '../../ui/format.ts';
import { Panel } from '../../ui/panel.tsx';
import { Empty, Failed, Loading, Notice } from '../../ui/states.tsx';
import type { TopicsQuery } from './choice.ts';
import { EventsForm } from './events-form.tsx';

interface EventsPanelProps {
  readonly choice: FeedChoice;
  readonly feed: EventFeed | undefined;
  readonly change: (more: Partial<TopicsQuery>) => void;
}

/** The events of a pattern, newest first. */
export function EventsPanel({ choice, feed, change }: EventsPanelProps) {
  const [text, setText] = useState('');
  const [held, setHeld] = useState<readonly FeedItem[]>();
  const items = feed?.items.value ?? [];
  const shown = (held ?? items).filter(({ event }) => hasWords(event, wordsOf(text)));
  const actions = (
    <>
      <StatusBadge status={feed?.status.value} />
      {feed?.status.value && (
        <button
          type="button"
          onClick={() => setHeld(held ? undefined : items)}
          aria-pressed={held !== undefined}
        >
          {held ? `Go on (${count(newer(held, items))} new)` : 'Hold'}
        </button>
      )}
    </>
  );
  return (
    <Panel
      title={choice.topics === '>' ? 'All events' : `Events of ${choice.topics}`}
      actions={actions}
      flush
    >
      <EventsForm choice={choice} change={change} text={text} setText={setText} />
      {feed && <Content feed={feed} shown={shown} isFiltered={text !== ''} />}
    </Panel>
  );
}

function Content({
  feed,
  shown,
  isFiltered,
}: {
  feed: EventFeed;
  shown: readonly FeedItem[];
  isFiltered: boolean;
}) {
  const error = feed.error.value;
  const isLoading = feed.loading.value;
  const loaded = feed.items.value.length;
  if (error !== undefined && loaded === 0)
    return <Failed error={error} retry={() => feed.start()} />;
  if (isLoading && loaded === 0) return <Loading lines={6} />;
  return (
    <>
      {error !== undefined && <Failed error={error} />}
      {feed.gaps.value.length > 0 && (
        <Notice kind="warning">
          A part of this range is lost:{' '}
          {feed.gaps.value.map(({ from, to, reason }) => `${from} to ${to} (${reason})`).join(', ')}
          .
        </Notice>
      )}
      {shown.length > 0 ? (
        <EventList items={shown} />
      ) : (
        <Empty title={isFiltered ? 'No loaded event has these words.' : 'No events'}>
          {isFiltered
            ? 'Older events may: load more of them.'
            : 'New ones appear here as soon as they are stored.'}
        </Empty>
      )}
      <footer class="events-foot">
        <span class="quiet">
          {isFiltered
            ? `${count(shown.length)} of ${count(loaded)} loaded events`
            : `${count(loaded)} ${loaded === 1 ? 'event' : 'events'} loaded`}
        </span>
        {feed.hasOlder.value && (
          <button type="button" disabled={isLoading} onClick={() => feed.older()}>
            {isLoading ? 'Loading …' : 'Load older events'}
          </button>
        )}
      </footer>
    </>
  );
}

/** How many events have come since the list was held. */
function newer(held: readonly FeedItem[], items: readonly FeedItem[]): number {
  const first = held[0]?.cursor;
  const at = items.findIndex(({ cursor }) => cursor === first);
  return at < 0 ? items.length : at;
}
