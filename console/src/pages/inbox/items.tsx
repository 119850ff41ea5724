import { preview } from '../../events/preview.ts';
import { Badge } from '../../ui/badge.tsx';
import { ago, fullTime, timeOfDay } from '../../ui/format.ts';
import { href } from '../../ui/route.ts';
import { Empty } from '../../ui/states.tsx';
import { useNow } from '../../ui/use-now.ts';
import type { ItemActions, ShownItem } from './types.ts';

interface ItemsProps {
  readonly items: readonly ShownItem[];
  readonly actions?: ItemActions;
}

const MINUTE_MS = 60_000;

/** Items, newest first, with what is marked of them. */
export function Items({ items, actions }: ItemsProps) {
  const now = useNow(MINUTE_MS / 2);
  if (items.length === 0) {
    return (
      <Empty title="No items">Events of the own topics and of what is followed appear here.</Empty>
    );
  }
  return (
    <ul class="inbox-items" aria-label="Items, newest first">
      {items.map((item) => (
        <Item key={item.cursor} item={item} actions={actions} now={now} />
      ))}
    </ul>
  );
}

function Item({
  item,
  actions,
  now,
}: {
  item: ShownItem;
  actions: ItemActions | undefined;
  now: number;
}) {
  const { cursor, event, state } = item;
  const isNew = !state.read && !state.archived;
  return (
    <li class={isNew ? 'inbox-item new' : 'inbox-item'}>
      <div class="inbox-text">
        <a href={href('event', { cursor })}>{event.type}</a>
        <span class="quiet">{event.topic}</span>
        {event.time && (
          <time class="quiet" dateTime={event.time} title={fullTime(event.time)}>
            {ago(event.time, now)}
          </time>
        )}
        <Marks state={state} />
        <code class="inbox-data">{preview(event)}</code>
      </div>
      {actions && <Buttons item={item} actions={actions} />}
    </li>
  );
}

function Marks({ state }: Pick<ShownItem, 'state'>) {
  return (
    <span class="inbox-marks">
      {!state.seen && <Badge kind="accent">unseen</Badge>}
      {!state.read && <Badge>unread</Badge>}
      {state.archived && <Badge>archived</Badge>}
      {state.snoozed && (
        <Badge kind="warning" title={fullTime(state.snoozed)}>
          hidden until {timeOfDay(state.snoozed)}
        </Badge>
      )}
    </span>
  );
}

function Buttons({
  item: { cursor, event, state },
  actions,
}: {
  item: ShownItem;
  actions: ItemActions;
}) {
  const buttons = [
    state.read ? { text: 'Unread', run: actions.unread } : { text: 'Read', run: actions.read },
    state.archived
      ? { text: 'Unarchive', run: actions.unarchive }
      : { text: 'Archive', run: actions.archive },
    state.snoozed
      ? { text: 'Show', run: actions.unsnooze }
      : { text: 'Hide 1 h', run: actions.snooze },
  ];
  return (
    <div class="row inbox-buttons">
      {buttons.map(({ text, run }) => (
        <button
          key={text}
          type="button"
          class="bare"
          aria-label={`${text}: ${event.type} ${cursor}`}
          onClick={() => run(cursor)}
        >
          {text}
        </button>
      ))}
    </div>
  );
}
