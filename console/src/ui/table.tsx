import type { ComponentChildren, RefObject } from 'preact';
import { useEffect, useRef } from 'preact/hooks';

export interface Column<Row> {
  readonly name: string;
  /** Figures stand at the right. */
  readonly number?: boolean;
  /** Heads the row, for who hears it. One column of a table. */
  readonly head?: boolean;
  readonly show: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  /** What is read out as the name of the table. */
  readonly caption: string;
  readonly columns: readonly Column<Row>[];
  readonly rows: readonly Row[];
  readonly keyOf: (row: Row) => string;
}

/** Rows on a wide screen. On a phone each row is a card, with the name of the column before each value. */
export function Table<Row>({ caption, columns, rows, keyOf }: TableProps<Row>) {
  const box = useRef<HTMLDivElement>(null);
  useScrollByKeys(box, caption);
  return (
    <div ref={box} class="table-scroll">
      <table class="cards">
        <caption class="hidden">{caption}</caption>
        <thead>
          <tr>
            {columns.map(({ name, number }) => (
              <th key={name} scope="col" class={number ? 'number' : undefined}>
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map((column) => (
                <Cell key={column.name} column={column} row={row} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A table that is wider than its place gets the focus, so that the arrow keys move it. */
function useScrollByKeys(box: RefObject<HTMLElement | null>, caption: string): void {
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const watch = new ResizeObserver(() => {
      const isWider = element.scrollWidth > element.clientWidth;
      element.role = isWider ? 'region' : null;
      element.ariaLabel = isWider ? caption : null;
      if (isWider) element.tabIndex = 0;
      else element.removeAttribute('tabindex');
    });
    watch.observe(element);
    for (const child of element.children) watch.observe(child);
    return () => watch.disconnect();
  }, [box, caption]);
}

function Cell<Row>({ column, row }: { column: Column<Row>; row: Row }) {
  const { name, number, head, show } = column;
  const look = number ? 'number' : undefined;
  if (head) {
    return (
      <th scope="row" class={look}>
        {show(row)}
      </th>
    );
  }
  return (
    <td class={look} data-name={name}>
      {show(row)}
    </td>
  );
}
