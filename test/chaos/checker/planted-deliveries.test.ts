import { test } from 'vitest';
import { EPOCH, finds, type Planted, sequenceOf } from './planted-errors.ts';

const PLANTED: readonly Planted[] = [
  {
    error: 'an event does not arrive',
    plant: (run) => run.remove(run.eventOf('c2').line),
    named: 'no hole',
  },
  {
    error: 'an event arrives twice',
    plant: (run) => {
      const { line, record } = run.eventOf('c2');
      run.insertAfter(line, record);
    },
    named: 'once, in order, of its patterns',
  },
  {
    error: 'two events change places',
    plant: (run) => {
      const { line, record } = run.eventOf('c2');
      const next = run.records.indexOf(run.nextOf(line) ?? record);
      const other = run.records[next];
      if (other?.kind !== 'event') throw new Error('An event follows.');
      run.records[line] = { ...other, atMs: record.atMs };
      run.records[next] = { ...record, atMs: other.atMs };
    },
    named: 'no hole',
  },
  {
    error: 'another event arrives under the cursor',
    plant: (run) => {
      const event = run.eventOf('c2');
      const { id = '' } = run.stored.find((one) => one.id !== event.record.id) ?? {};
      run.change(event, { id });
    },
    named: 'only events of the log',
  },
  {
    error: 'an event arrives that nobody published',
    plant: (run) => run.change(run.eventOf('c2'), { id: 'ghost' }),
    named: 'only events of the log',
  },
  {
    error: 'an event of a topic that the token does not permit',
    plant: (run) =>
      run.change(
        run.middle('token', (one) => one.token === 't2'),
        { subscribe: [] },
      ),
    named: 'nobody beyond permission',
  },
  {
    error: 'an event that no subscription asks for',
    plant: (run) => {
      const event = run.eventOf('c2');
      const token = run.middle('token', (one) => one.token === 't2');
      run.change(token, { subscribe: ['>'] });
      run.insertAfter(event.line, { ...event.record, topic: 'other' });
    },
    named: 'once, in order, of its patterns',
  },
  {
    error: 'events go on after the token was revoked',
    plant: (run) => {
      const { line, record } = run.middle('publish-attempt', ({ atMs }) => atMs < 3000);
      run.insertAfter(line, { kind: 'revoked', atMs: record.atMs, token: 't1' });
    },
    named: 'nobody beyond permission',
  },
  {
    error: 'events go on after the token has expired',
    plant: (run) =>
      run.change(
        run.middle('token', (one) => one.token === 't1'),
        { expiresAtMs: 900 },
      ),
    named: 'nobody beyond permission',
  },
  {
    error: 'a connection stays open after its token has expired',
    plant: (run) => {
      const { record } = run.middle('connect', ({ connection }) => connection === 'c5/1');
      run.keep(
        (one) => !('connection' in one && one.connection.startsWith('c5/')) || one === record,
      );
      run.change(
        run.middle('token', (one) => one.token === 't5'),
        { expiresAtMs: 900 },
      );
    },
    named: 'nobody beyond permission',
  },
  {
    error: 'a client comes back with another cursor',
    plant: (run) => {
      const asked = run.middle(
        'subscribe',
        ({ resumes, subscription }) => resumes && subscription === 'c2s0',
      );
      run.change(asked, { after: `${EPOCH}-${sequenceOf(asked.record.after) + 3}` });
    },
    named: 'clients resume at their cursors',
  },
];

test.each(PLANTED)('planted errors: $error: is found and named', finds);
