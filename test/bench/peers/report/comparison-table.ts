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
      const best = bestOf(row, ofCase);
      const label = `${index === 0 ? title : name}: ${row.text}`;
      return [label, ...ofCase.map((cell) => formatCell(row, cell, best))];
    });
  });
  const heading = ['case', ...systems.map(({ title }) => title)];
  const rule = heading.map((_, column) => (column === 0 ? '---' : '---:'));
  return [heading, rule, ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');
}

/** What the table cannot tell: what was not measured and why, what the load took, and every setting. */
export function formatNotes(comparison: Comparison): string {
  const { systems, cases } = comparison;
  return [
    section('Notes', [
      ...notesOnCells(comparison),
      ...cases.map((one) => noteOnLoad(one, comparison)),
    ]),
    section(
      'What does not have its default',
      inFamilies(systems, ({ settings }) => settings),
    ),
    section(
      'What is not promised',
      inFamilies(systems, ({ notPromised }) => notPromised),
    ),
    section(
      'How it is measured',
      cases.map(({ name, method }) => `${name}: ${method}`),
    ),
  ].join('\n\n');
}

function notesOnCells({ systems, cells }: Comparison): string[] {
  const nameOf = (cell: Cell) => {
    return `${cell.case}, ${systems.find(({ name }) => name === cell.system)?.title}`;
  };
  const missing = cells.filter((cell) => cell.missing !== undefined);
  return [
    ...missing.map((cell) => `${nameOf(cell)}: not measured: ${cell.missing}.`),
    ...cells.filter(isLoadFull).map((cell) => {
      return `${nameOf(cell)} †: the clients or the publishers took a whole core, so rates are lower bounds.`;
    }),
  ];
}

function noteOnLoad({ name }: ComparisonCase, { cells }: Comparison): string {
  const most = (value: string) => {
    const figures = cells
      .filter((cell) => cell.case === name)
      .flatMap(({ runs }) => runs.map((values) => values[value] ?? 0));
    return formatNumber(Math.max(0, ...figures));
  };
  return `${name}: the clients took at most ${most('loadCores')} cores, the publishers ${most('publisherCores')}, and other work on the machine ${most('otherCores')}.`;
}

/** Each text once, behind the systems that it is about. */
function inFamilies(
  systems: readonly System[],
  textsOf: (system: System) => readonly string[],
): string[] {
  const titles = new Map<string, string[]>();
  for (const system of systems) {
    for (const text of textsOf(system)) {
      titles.set(text, [...(titles.get(text) ?? []), system.title]);
    }
  }
  return [...titles].map(([text, of]) => `${of.join(' and ')}: ${text}.`);
}

function section(title: string, lines: readonly string[]): string {
  return [`${title}:`, '', ...lines.map((line) => `- ${line}`)].join('\n');
}

function cellFor(cells: readonly Cell[], caseName: string, system: System): Cell | undefined {
  return cells.find((cell) => cell.case === caseName && cell.system === system.name);
}

function bestOf({ value, better }: Row, cells: readonly (Cell | undefined)[]): number {
  if (better === undefined) return Number.NaN;
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
