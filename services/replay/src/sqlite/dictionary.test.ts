import { createLogger } from '@tidemark/telemetry';
import { expect, test } from 'vitest';
import { leastMs } from '../../../../test/support/least-ms.ts';
import { Archive } from '../archive/archive.ts';

const NAMES = 100_000;
const ROUNDS = 50;

test('names: a page late in the list costs what the first one costs', () => {
  const archive = new Archive(':memory:', createLogger('test', 'silent'));
  archive.begin({ epoch: 'e' }, 1);
  const events = Array.from({ length: NAMES }, (_, index) => {
    const topic = `t.${String(index).padStart(6, '0')}`;
    return { sequence: index + 1, timeMs: 1, topic, type: 't', source: '/s', json: '{}' };
  });
  archive.appendEvents(events, [], NAMES);
  const range = { from: 't.', below: 't/', limit: 10 };
  const timeOf = (after: string): number => {
    return leastMs(5, () => {
      for (let round = 0; round < ROUNDS; round++) archive.topics.listEntries({ ...range, after });
    });
  };
  const late = 't.099000';
  expect(archive.topics.listEntries({ ...range, after: late })[0]?.name).toBe('t.099001');
  expect(archive.topics.listEntries({ ...range, after: '' })[0]?.name).toBe('t.000000');
  expect(archive.topics.listEntries({ ...range, from: 't.5', after: late })).toEqual([]);
  const first = Math.max(timeOf(''), 1);
  expect(timeOf(late) / first).toBeLessThan(20);
  archive.close();
});
