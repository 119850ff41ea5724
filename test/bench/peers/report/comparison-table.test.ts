import { expect, test } from 'vitest';
import type { ComparisonCase } from '../cases/comparison-case.ts';
import type { System } from '../systems/system.ts';
import { cellOf, missingCell } from './comparison.ts';
import { formatComparison, formatNotes } from './comparison-table.ts';

function system(name: string): System {
  return {
    name,
    title: name.toUpperCase(),
    settings: ['the same for all', `only ${name}`],
    notPromised: [`nothing of ${name}`],
    without: () => undefined,
    start: () => Promise.reject(new Error('not in this test')),
  };
}

const systems = [system('one'), system('two'), system('three')];

const storm: ComparisonCase = {
  name: 'storm',
  title: 'a storm',
  method: 'as told',
  rows: [
    { value: 'seconds', text: 'until complete', unit: 's', better: 'lower' },
    { value: 'perSecond', text: 'events', unit: '/s', better: 'higher' },
  ],
  sockets: 1,
  needs: { recovery: false },
  run: () => Promise.reject(new Error('not in this test')),
};

const idle = { publisherCores: 0, loadCores: 0.2, otherCores: 0.1 };
const cells = [
  cellOf({ system: 'one', case: 'storm' }, [
    { ...idle, seconds: 1, perSecond: 10 },
    { ...idle, seconds: 3, perSecond: 3000 },
    { ...idle, seconds: 2, perSecond: 2000, otherCores: 0.7 },
  ]),
  cellOf({ system: 'two', case: 'storm' }, [
    { ...idle, seconds: 2.5, perSecond: 4000, loadCores: 0.95 },
  ]),
  missingCell({ system: 'three', case: 'storm' }, 'it has no memory'),
];
const comparison = { systems, cases: [storm], cells };

test('table of peers: medians, the best in bold, and a mark where the load was full', () => {
  expect(formatComparison(comparison).split('\n')).toEqual([
    '| case | ONE | TWO | THREE |',
    '| --- | ---: | ---: | ---: |',
    '| a storm: until complete | **2 s** | 2.5 s † | not measured |',
    '| storm: events | 2,000/s | **4,000/s** † | not measured |',
  ]);
});

test('notes on peers: what was not measured, what the load took, each setting once', () => {
  const notes = formatNotes(comparison);
  expect(notes).toContain('- storm, THREE: not measured: it has no memory.');
  expect(notes).toContain('- storm, TWO †: the clients or the publishers took a whole core');
  expect(notes).toContain('other work on the machine 0.7.');
  expect(notes).toContain('- ONE and TWO and THREE: the same for all.');
  expect(notes).toContain('- TWO: only two.');
  expect(notes).toContain('- THREE: nothing of three.');
});
