import { test } from 'vitest';
import { EPOCH, finds, type Planted, sequenceOf, without } from './planted-errors.ts';

const PLANTED: readonly Planted[] = [
  {
    error: 'a page lacks an event',
    plant: (run) => {
      const page = run.page();
      run.change(page, { items: without(page.record, 2) });
    },
    named: 'pages have no hole',
  },
  {
    error: 'a page in descending order lacks an event',
    plant: (run) => {
      const page = run.middle('page', ({ items, order }) => items.length > 4 && order === 'desc');
      run.change(page, { items: without(page.record, 2) });
    },
    named: 'pages have no hole',
  },
  {
    error: 'a page has two items in the wrong order',
    plant: (run) => {
      const page = run.page();
      run.change(page, { items: page.record.items.toReversed() });
    },
    named: 'pages are in order',
  },
  {
    error: 'a page has another event under the cursor',
    plant: (run) => {
      const page = run.page();
      const [first, second, ...rest] = page.record.items;
      run.change(page, { items: [[first?.[0], second?.[1]], second, ...rest] });
    },
    named: 'pages equal the log',
  },
  {
    error: 'an export goes on after its range',
    plant: (run) => {
      const page = run.page();
      const before = page.record.items[2]?.[0] ?? '';
      run.change(page, { kind: 'export', before });
    },
    named: 'pages equal the log',
  },
  {
    error: 'a page tells a gap over an event that a store has',
    plant: (run) => {
      const page = run.page();
      const to = page.record.items[2]?.[0] ?? '';
      const from = `${EPOCH}-${sequenceOf(to) - 1}`;
      run.change(page, { items: without(page.record, 2), gaps: [{ from, to, reason: 'expired' }] });
    },
    named: 'the gaps of pages are true',
  },
  {
    error: 'a page shows a topic that the token does not permit',
    plant: (run) => {
      for (const token of run.all('token')) run.change(token, { history: ['nothing'] });
    },
    named: 'nobody beyond permission',
  },
  {
    error: 'two archives differ',
    plant: (run) => {
      const { id = '' } = run.stored.at(-20) ?? {};
      run.changeStored((one) =>
        one.store === 'replay-2' && one.id === id ? { ...one, id: 'other' } : one,
      );
    },
    named: 'stores are equal',
  },
  {
    error: 'an archive lacks an event',
    plant: (run) => {
      const { id = '' } = run.stored.at(-20) ?? {};
      run.changeStored((one) => (one.store === 'replay-1' && one.id === id ? undefined : one));
    },
    named: 'stores are equal',
  },
  {
    error: 'an archive is in another epoch',
    plant: (run) => {
      run.final = run.final.map((one) =>
        one.kind === 'store' && one.store === 'replay-2' ? { ...one, epoch: 'other' } : one,
      );
    },
    named: 'stores agree on the epoch',
  },
];

test.each(PLANTED)('planted errors: $error: is found and named', finds);
