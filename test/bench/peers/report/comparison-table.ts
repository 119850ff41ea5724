import { formatNumber } from '../../report/table.ts';
import type { ComparisonCase, Row } from '../cases/comparison-case.ts';
import type { System } from '../systems/system.ts';
import type { Cell } from './comparison.ts';

/** Cores that the load took where it may have been what was measured. */
const LOAD_IS_FULL = 0.9;

export interface Comparison {
  readonly systems: readonly System[];
  readonly cases: readonly ComparisonCase[];
  readonly cells: readonly Cell[];
}

/** The figures as a Markdown table. The best one of each row is bold. */
export function formatComparison({ systems, cases, cells }: Comparison): string {
  const lines = cases.flatMap(({ name, title, rows }) => {
    const ofCase = systems.map((system) => cellFor(cells, name, system));
    return rows.map((row, index) => {
      const title_ = index === 0 ? `${title}: ` : '';
      const best = bestOf(row, ofCase);
      return [`${title_}${row.text}`, ...ofCase.map((cell) => formatCell(row, cell, best))];
    });
  });
  const heading = ['case', ...systems.map(({ title }) => title)];
  const rule = heading.map((_, column) => (column === 0 ? '---' : '---:'));
  return [heading, rule, ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** What the table cannot tell: what was not measured and why, and where the load was the limit. */
export function formatNotes({ systems, cases, cells }: Comparison): string {
  const missing = cells.filter((cell) => cell.missing !== undefined);
  const notes = missing.map((cell) => `${nameOf(cell)}: not measured: ${cell.missing}.`);
  for (const cell of cells.filter(isLoadFull)) {
    notes.push(
      `${nameOf(cell)} †: the clients or the publishers took a whole core, so rates are lower bounds of what the system can do.`,
    );
  }
  const settings = systems.map(({ title, settings }) => `${title}: ${settings.join('; ')}.`);
  const limits = systems.flatMap(({ title, notPromised }) => {
    return notPromised.map((text) => `${title}: ${text}.`);
  });
  const methods = cases.map(({ name, method }) => `${name}: ${method}`);
  return [
    section('Notes', notes),
    section('What does not have its default', settings),
    section('What is not promised', limits),
    section('How it is measured', methods),
  ].join('\n\n');

  function nameOf(cell: Cell): string {
    const title = systems.find(({ name }) => name === cell.system)?.title;
    return `${cell.case}, ${title}`;
  }
}

function section(title: string, lines: readonly string[]): string {
  const unique = [...new Set(lines)];
  return [`${title}:`, '', ...unique.map((line) => `- ${line}`)].join('\n');
}

function cellFor(cells: readonly Cell[], caseName: string, system: System): Cell | undefined {
  return cells.find((cell) => cell.case === caseName && cell.system === system.name);
}

function bestOf({ value, better }: Row, cells: readonly (Cell | undefined)[]): number {
  const figures = cells.map((cell) => cell?.medians[value] ?? Number.NaN).filter(Number.isFinite);
  return better === 'higher' ? Math.max(...figures) : Math.min(...figures);
}

function formatCell(row: Row, cell: Cell | undefined, best: number): string {
  const figure = cell?.medians[row.value];
  if (!cell || figure === undefined || !Number.isFinite(figure)) return 'not measured';
  const separator = row.unit === '' || row.unit.startsWith('/') ? '' : ' ';
  const text = `${formatNumber(figure)}${separator}${row.unit}`;
  const marked = figure === best ? `**${text}**` : text;
  return isLoadFull(cell) ? `${marked} †` : marked;
}

function isLoadFull({ medians }: Cell): boolean {
  const { loadCores = 0, publisherCores = 0, singlePublisherCores = 0 } = medians;
  return Math.max(loadCores, publisherCores, singlePublisherCores) >= LOAD_IS_FULL;
}
