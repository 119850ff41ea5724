import { stripVTControlCharacters } from 'node:util';
import { safeText } from './safe-text.ts';

/** A column of a table of rows of type `Row`. */
export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
  readonly align?: 'right';
  /** It gives up its width first where the table is too wide; several share it. */
  readonly flexible?: boolean;
  /** Styles the padded cell, so that colours do not count as width. */
  readonly style?: (text: string, row: Row) => string;
}

const GAP = '  ';
const NARROWEST = 8;

/** The lines of a table, the title first, cut to a width. `undefined`: as wide as it is, for pipes. */
export function tableLines<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  width?: number,
): string[] {
  const cells = rows.map((row) => columns.map(({ value }) => safeText(value(row))));
  const widths = columns.map(({ title }, index) =>
    Math.max(title.length, ...cells.map((row) => lengthOf(row[index] ?? ''))),
  );
  if (width !== undefined) shrink(widths, columns, width);
  const print = (texts: readonly string[], row?: Row) =>
    columns
      .map((column, index) => {
        const last = index === columns.length - 1 && column.align !== 'right';
        const text = fit(texts[index] ?? '', widths[index] ?? 0, column.align, last);
        return row !== undefined && column.style ? column.style(text, row) : text;
      })
      .join(GAP)
      .trimEnd();
  return [
    print(columns.map(({ title }) => title)),
    ...rows.map((row, index) => print(cells[index] ?? [], row)),
  ];
}

/** Takes columns from the widest flexible one until the table fits, or nothing is left to take. */
function shrink<Row>(widths: number[], columns: readonly Column<Row>[], width: number): void {
  const flexible = columns.flatMap((column, index) => (column.flexible ? [index] : []));
  const total = () => widths.reduce((sum, one) => sum + one + GAP.length, -GAP.length);
  while (total() > width) {
    const widest = flexible.reduce<number | undefined>((best, index) => {
      return best === undefined || (widths[index] ?? 0) > (widths[best] ?? 0) ? index : best;
    }, undefined);
    const present = widest === undefined ? 0 : (widths[widest] ?? 0);
    if (widest === undefined || present <= NARROWEST) return;
    widths[widest] = Math.max(NARROWEST, present - (total() - width));
  }
}

/** Pads or cuts a text to a width. */
function fit(text: string, width: number, align: 'right' | undefined, last: boolean): string {
  const length = lengthOf(text);
  if (length > width) return `${[...text].slice(0, Math.max(0, width - 1)).join('')}…`;
  if (last) return text;
  const padding = ' '.repeat(width - length);
  return align === 'right' ? padding + text : text + padding;
}

function lengthOf(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
