import { expect, test } from 'vitest';
import { cases } from './cases/index.ts';
import { readPeerOptions } from './options.ts';
import { systems } from './systems/index.ts';

test('options of peers: none: every case on every system, three runs', () => {
  const options = readPeerOptions([]);
  expect(options.cases).toEqual(cases);
  expect(options.systems).toEqual(systems);
  expect(options).toMatchObject({ runs: 3, quick: false, outFile: undefined, help: false });
});

test('options of peers: names in any order: are taken in the order of the table', () => {
  const options = readPeerOptions([
    ...['--case', 'storm,narrow', '--case', 'fan-out'],
    ...['--system', 'socket.io,tidemark', '--runs', '5'],
  ]);
  expect(options.cases.map(({ name }) => name)).toEqual(['fan-out', 'narrow', 'storm']);
  expect(options.systems.map(({ name }) => name)).toEqual(['tidemark', 'socket.io']);
  expect(options.runs).toBe(5);
});

test('options of peers: --quick: one run', () => {
  expect(readPeerOptions(['--quick'])).toMatchObject({ runs: 1, quick: true });
  expect(readPeerOptions(['--quick', '--runs', '2']).runs).toBe(2);
});

test.each([
  [['--case', 'nothing'], 'There is no case nothing.'],
  [['--system', 'tidemark,nobody'], 'There is no system nobody.'],
  [['--runs', '0'], '--runs 0 is no number from 1 to 99.'],
  [['--runs', 'many'], '--runs many is no number from 1 to 99.'],
])('options of peers: %j: a sentence that names the fault', (args, sentence) => {
  expect(() => readPeerOptions(args)).toThrow(sentence);
});

test('systems: each: says what differs from its defaults and what it does not promise', () => {
  for (const { settings, notPromised } of systems) {
    expect(settings).not.toEqual([]);
    expect(notPromised).not.toEqual([]);
  }
});
