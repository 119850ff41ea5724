import type { CaseResult, TargetResult } from './case-result.ts';

const HEADINGS = ['case', 'target', 'figure', 'met'];

/** The results as a Markdown table that also reads well in a terminal. */
export function formatTable(results: readonly CaseResult[]): string {
  const rows = results.flatMap((result) => {
    if (result.refused !== undefined) return [[result.name, '', 'no figure (see above)', 'no']];
    return result.targets.map((target) => [
      result.name,
      formatTarget(target),
      formatFigure(target.figure, target.unit),
      target.met ? 'yes' : 'NO',
    ]);
  });
  const widths = HEADINGS.map((heading, column) => {
    return Math.max(heading.length, ...rows.map((row) => row[column]?.length ?? 0));
  });
  const line = (cells: readonly string[]) => {
    return `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  };
  const rule = `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`;
  return [line(HEADINGS), rule, ...rows.map(line)].join('\n');
}

/** Everything that a case measured, on one line. */
export function formatValues(values: Readonly<Record<string, number>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} ${formatNumber(value)}`)
    .join(', ');
}

function formatTarget({ text, atLeast, atMost, unit }: TargetResult): string {
  const bound = atLeast === undefined ? `at most ${formatFigure(atMost ?? 0, unit)}` : '';
  return `${text}: ${bound || `at least ${formatFigure(atLeast ?? 0, unit)}`}`;
}

function formatFigure(value: number, unit: string): string {
  const separator = unit.startsWith('/') ? '' : ' ';
  return `${formatNumber(value)}${separator}${unit}`;
}

export function formatNumber(value: number): string {
  if (Math.abs(value) >= 1000) return Math.round(value).toLocaleString('en-US');
  return Number(value.toPrecision(3)).toString();
}
