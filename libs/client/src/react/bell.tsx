import {
  type FocusEvent,
  type KeyboardEvent,
  type ReactElement,
  type ReactNode,
  useEffect,
  useId,
  useRef,
  useState,
} from 'react';
import type { InboxItem } from '../inbox/types.ts';
import { useArrivals } from './arrivals.ts';
import { type BellLabels, ENGLISH } from './bell-labels.ts';
import { BellPanel } from './bell-panel.tsx';
import { type BellClassNames, partsWith, UNSEEN } from './bell-parts.ts';
import { type UseInboxOptions, useInbox } from './inbox.ts';

/** Drawn, because not every system has a character for it. */
const BELL = (
  <svg viewBox="0 0 16 16" width="1em" height="1em" fill="currentColor" aria-hidden="true">
    <path d="M8 1a4.5 4.5 0 0 0-4.5 4.5V9L2 11.5V12h12v-.5L12.5 9V5.5A4.5 4.5 0 0 0 8 1ZM6 13a2 2 0 0 0 4 0Z" />
  </svg>
);

/** What a bell may choose; nothing of it is needed. */
export interface NotificationBellProps {
  /** Which items are listed. */
  readonly options?: UseInboxOptions;
  /** What is on the button beside the count; a bell if absent. */
  readonly icon?: ReactNode;
  /** What an item shows. It is inside a button: text, images and the like, and nothing to click. */
  readonly renderItem?: (item: InboxItem) => ReactNode;
  /** The user has chosen an item, such as to go to its page. It is marked as read. */
  readonly onSelect?: (item: InboxItem) => void;
  /** Texts in another language. */
  readonly labels?: Partial<BellLabels>;
  /** Class names by part. Parts also have `data-part`, and items `data-read` and `data-seen`. */
  readonly classNames?: BellClassNames;
}

/**
 * A button with the number of unread notifications, and their list behind it. What is listed counts as seen when it is
 * opened, and as read when it is chosen. It works without a style sheet, and with the keyboard alone: arrows, Home and
 * End go through the items, Escape goes back to the button.
 */
export function NotificationBell({
  options,
  icon = BELL,
  renderItem,
  onSelect,
  labels: givenLabels,
  classNames = {},
}: NotificationBellProps): ReactElement {
  const inbox = useInbox(options);
  const { view } = inbox;
  const [isOpen, setIsOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const arrivals = useArrivals(view.isReady ? view.items : undefined);
  const labels = { ...ENGLISH, ...givenLabels };
  const part = partsWith(classNames);

  const close = () => {
    setIsOpen(false);
    button.current?.focus();
  };
  useOutsidePress(isOpen, root, () => setIsOpen(false));
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Escape' || !isOpen) return;
    // What is around the bell, such as a dialog of the page, stays open.
    event.stopPropagation();
    close();
  };
  const onBlur = ({ relatedTarget, currentTarget }: FocusEvent) => {
    if (relatedTarget && !currentTarget.contains(relatedTarget)) setIsOpen(false);
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it hears what comes up from the button and the dialog
    <div ref={root} onKeyDown={onKeyDown} onBlur={onBlur} {...part('root')}>
      <button
        ref={button}
        type="button"
        aria-label={labels.button(view.counts)}
        aria-haspopup="dialog"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={() => setIsOpen(!isOpen)}
        {...part('button')}
      >
        <span aria-hidden="true">{icon}</span>
        {view.counts.unread > 0 && (
          <span aria-hidden="true" {...part('count')}>
            {labels.count(view.counts)}
          </span>
        )}
      </button>
      <div role="status" aria-atomic="true" style={UNSEEN} {...part('announcement')}>
        {arrivals.count > 0 && <span key={arrivals.number}>{labels.arrived(arrivals.count)}</span>}
      </div>
      {isOpen && (
        <BellPanel
          id={id}
          inbox={inbox}
          labels={labels}
          part={part}
          renderItem={renderItem}
          onSelect={onSelect}
          onClose={close}
        />
      )}
    </div>
  );
}

function useOutsidePress(
  isOpen: boolean,
  root: { readonly current: HTMLElement | null },
  run: () => void,
): void {
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  useEffect(() => {
    if (!isOpen) return;
    const onPress = (event: Event) => {
      if (root.current && !event.composedPath().includes(root.current)) latest.current();
    };
    document.addEventListener('pointerdown', onPress);
    return () => document.removeEventListener('pointerdown', onPress);
  }, [isOpen, root]);
}
