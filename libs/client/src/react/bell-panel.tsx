import {
  type KeyboardEvent,
  type ReactElement,
  type ReactNode,
  useEffect,
  useLayoutEffect,
  useRef,
  useState,
} from 'react';
import type { InboxItem } from '../inbox/types.ts';
import { BellItem } from './bell-item.tsx';
import type { BellLabels } from './bell-labels.ts';
import type { PartProps } from './bell-parts.ts';
import type { UsedInbox } from './inbox.ts';

interface BellPanelProps {
  readonly id: string;
  readonly inbox: UsedInbox;
  readonly labels: BellLabels;
  readonly part: PartProps;
  readonly renderItem: ((item: InboxItem) => ReactNode) | undefined;
  readonly onSelect: ((item: InboxItem) => void) | undefined;
  readonly onClose: () => void;
}

/** The dialog of a bell. It is there only while it is open. */
export function BellPanel(props: BellPanelProps): ReactElement {
  const { id, inbox, labels, part, onClose } = props;
  const { view } = inbox;
  const dialog = useRef<HTMLDivElement>(null);
  const focus = useListFocus(dialog, view.items);
  const [hasFailed, setHasFailed] = useState(false);
  useSeen(inbox);

  const run = (action: Promise<void>) => {
    action.then(
      () => setHasFailed(false),
      () => setHasFailed(true),
    );
  };
  const onOlder = () => {
    focus.followOlder();
    run(inbox.older());
  };
  const onSelect = (item: InboxItem) => {
    if (!item.state.read) run(inbox.read({ cursors: [item.cursor] }));
    props.onSelect?.(item);
  };

  return (
    <div
      ref={dialog}
      id={id}
      role="dialog"
      aria-labelledby={`${id}-title`}
      aria-busy={!view.isReady && !view.error}
      tabIndex={-1}
      onKeyDown={focus.onKeyDown}
      {...part('dialog')}
    >
      <h2 id={`${id}-title`} {...part('title')}>
        {labels.title}
      </h2>
      {view.counts.unread > 0 && (
        <button type="button" onClick={() => run(inbox.read())} {...part('readAll')}>
          {labels.readAll}
        </button>
      )}
      <button type="button" onClick={onClose} {...part('close')}>
        {labels.close}
      </button>
      <Messages {...{ view, labels, part, hasFailed }} />
      {view.items.length > 0 && (
        // biome-ignore lint/a11y/noRedundantRoles: Safari says no list where a style sheet takes its points away
        <ul role="list" aria-labelledby={`${id}-title`} {...part('list')}>
          {view.items.map((item) => (
            <BellItem
              key={item.cursor}
              item={item}
              isCurrent={item.cursor === focus.current}
              renderItem={props.renderItem}
              onFocus={focus.setCurrent}
              {...{ labels, part, onSelect }}
            />
          ))}
        </ul>
      )}
      {view.hasOlder && (
        <button type="button" onClick={onOlder} {...part('older')}>
          {labels.older}
        </button>
      )}
    </div>
  );
}

interface MessagesProps extends Pick<BellPanelProps, 'labels' | 'part'> {
  readonly view: UsedInbox['view'];
  readonly hasFailed: boolean;
}

function Messages({ view, labels, part, hasFailed }: MessagesProps): ReactElement {
  const isEmpty = view.isReady && view.items.length === 0;
  return (
    <>
      {view.error && (
        <p role="alert" {...part('message')}>
          {labels.stale}
        </p>
      )}
      {hasFailed && (
        <p role="alert" {...part('message')}>
          {labels.failed}
        </p>
      )}
      {!view.isReady && !view.error && <p {...part('message')}>{labels.loading}</p>}
      {isEmpty && <p {...part('message')}>{labels.empty}</p>}
    </>
  );
}

/** What is listed counts as seen. Where that is refused, it is tried again with the next item or the next opening. */
function useSeen({ view, seen }: UsedInbox): void {
  const marked = useRef<string>(undefined);
  const newest = view.isReady && view.counts.unseen > 0 ? view.items[0]?.cursor : undefined;
  useEffect(() => {
    if (newest === undefined || newest === marked.current) return;
    marked.current = newest;
    seen({ upTo: newest }).catch(() => undefined);
  }, [newest, seen]);
}

/** One item is in the tab order; keys go to the others. The focus stays in the dialog, whatever happens to the items. */
function useListFocus(
  dialog: { readonly current: HTMLElement | null },
  items: readonly InboxItem[],
) {
  const [chosen, setCurrent] = useState<string>();
  const olderFrom = useRef<string>(undefined);
  const current = items.some(({ cursor }) => cursor === chosen) ? chosen : items[0]?.cursor;

  useLayoutEffect(() => {
    (buttonsIn(dialog.current)[0] ?? dialog.current)?.focus();
  }, [dialog]);

  useLayoutEffect(() => {
    const buttons = buttonsIn(dialog.current);
    const next = items.findIndex(({ cursor }) => cursor === olderFrom.current) + 1;
    if (olderFrom.current !== undefined && next > 0 && next < items.length) {
      olderFrom.current = undefined;
      buttons[next]?.focus();
    }
    // What had the focus may be gone.
    if (!hasFocus(dialog.current)) dialog.current?.focus();
  });

  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = buttonsIn(dialog.current);
    const index = buttons.indexOf(event.target as HTMLElement);
    if (index < 0 && event.target !== event.currentTarget) return;
    const target = targetOf(event.key, index, buttons.length - 1);
    if (target === undefined) return;
    event.preventDefault();
    buttons[target]?.focus();
  };
  /** The first item that comes gets the focus: the button may be gone by then. */
  const followOlder = () => {
    olderFrom.current = items.at(-1)?.cursor;
  };
  return { current, setCurrent, onKeyDown, followOlder };
}

function targetOf(key: string, index: number, last: number): number | undefined {
  if (key === 'ArrowDown') return Math.min(index + 1, last);
  if (key === 'ArrowUp') return Math.max(index - 1, 0);
  if (key === 'Home') return 0;
  if (key === 'End') return last;
  return undefined;
}

function buttonsIn(dialog: HTMLElement | null): HTMLElement[] {
  return [...(dialog?.querySelectorAll<HTMLElement>('[data-part="item"] > button') ?? [])];
}

/** Also within a shadow root. Without a focus anywhere, the body has it. */
function hasFocus(dialog: HTMLElement | null): boolean {
  const root = dialog?.getRootNode() as Document | ShadowRoot | undefined;
  return !!root?.activeElement && root.activeElement !== document.body;
}
