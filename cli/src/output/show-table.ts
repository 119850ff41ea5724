import type { Output } from './output.ts';
import { type Column, tableLines } from './table.ts';

/** Lines of a table for this output: as wide as the terminal, or as it is in a pipe. */
export function linesFor<Row>(
  output: Output,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): string[] {
  const [title = '', ...lines] = tableLines(
    columns,
    rows,
    output.isTerminal ? output.width : undefined,
  );
  return [output.style('bold', title), ...lines];
}

/** Prints a table. */
export async function showTable<Row>(
  output: Output,
  columns: readonly Column<Row>[],
  rows: readonly Row[],
): Promise<void> {
  for (const line of linesFor(output, columns, rows)) await output.line(line);
}
