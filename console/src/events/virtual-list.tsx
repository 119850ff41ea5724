import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { listWindow } from './list-window.ts';

interface VirtualListProps {
  readonly rows: number;
  /** In pixels; all rows are equally high. */
  readonly rowHeight: number;
  readonly render: (index: number) => ComponentChildren;
  readonly label: string;
  /** `tree` or `list`, whose items `render` makes. */
  readonly role: 'tree' | 'list';
  readonly class?: string;
  /** The id of the row that the keyboard is at. */
  readonly active?: string | undefined;
  /** The row that is brought into view when it changes. */
  readonly reveal?: number | undefined;
  readonly onKeyDown?: (event: KeyboardEvent) => void;
  /** What a row is, for a list that grows at its top: what a person reads then stays where it is. */
  readonly keyOf?: (index: number) => string | undefined;
}

/** Rows that may come at the top at once. */
const ADDED_MAX = 1000;

/** A list of which only what is seen is drawn: ten thousand rows cost what a screenful costs. It has the focus as a whole. */
export function VirtualList(props: VirtualListProps) {
  const { rows, rowHeight, render, label, role, reveal } = props;
  const box = useRef<HTMLDivElement>(null);
  const [view, setView] = useState({ scrollTop: 0, height: 600 });
  const measure = () => {
    const { scrollTop = 0, clientHeight: height = 0 } = box.current ?? {};
    setView((before) =>
      before.scrollTop === scrollTop && before.height === height ? before : { scrollTop, height },
    );
  };
  useLayoutEffect(measure, [rows, rowHeight]);
  useEffect(() => {
    const observer = new ResizeObserver(measure);
    if (box.current) observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    if (reveal !== undefined && reveal >= 0) scrollTo(box.current, reveal * rowHeight, rowHeight);
  }, [reveal, rowHeight]);
  const top = useRef<string>(undefined);
  useLayoutEffect(() => {
    const added = addedAbove(top.current, props);
    top.current = props.keyOf?.(0);
    if (box.current && box.current.scrollTop > rowHeight)
      box.current.scrollTop += added * rowHeight;
  });
  const { first, end } = listWindow(rows, { ...view, rowHeight });
  const shown = Array.from({ length: Math.max(0, end - first) }, (_, index) => first + index);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: its role is a property
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: the same
    <div
      ref={box}
      class={`virtual ${props.class ?? ''}`}
      role={role}
      aria-label={label}
      aria-activedescendant={props.active}
      tabIndex={0}
      onScroll={measure}
      onKeyDown={props.onKeyDown}
    >
      <div role="presentation" class="virtual-space" style={{ height: `${rows * rowHeight}px` }}>
        <div
          role="presentation"
          class="virtual-rows"
          style={{ transform: `translateY(${first * rowHeight}px)` }}
        >
          {shown.map(render)}
        </div>
      </div>
    </div>
  );
}

function scrollTo(box: HTMLDivElement | null, top: number, rowHeight: number): void {
  if (!box) return;
  const isAbove = top < box.scrollTop;
  const isBelow = top + rowHeight > box.scrollTop + box.clientHeight;
  if (isAbove) box.scrollTop = top;
  else if (isBelow) box.scrollTop = top + rowHeight - box.clientHeight;
}

function addedAbove(top: string | undefined, { keyOf, rows }: VirtualListProps): number {
  if (!keyOf || top === undefined) return 0;
  for (let index = 0; index < Math.min(rows, ADDED_MAX); index++) {
    if (keyOf(index) === top) return index;
  }
  return 0;
}
