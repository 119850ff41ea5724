import { test } from 'vitest';
import { EPOCH, finds, type Planted, sequenceOf } from './planted-errors.ts';

const PLANTED: readonly Planted[] = [
  {
    error: 'a gap over events that a store has',
    plant: (run) => {
      const event = run.eventOf('c2');
      const from = `${EPOCH}-${sequenceOf(event.record.cursor) - 1}`;
      const { connection, atMs, cursor: to } = event.record;
      run.records[event.line] = {
        kind: 'gap',
        atMs,
        connection,
        subscription: 'c2s0',
        from,
        to,
        reason: 'expired',
      };
    },
    named: 'gaps are true',
  },
  {
    error: 'a lost end, although the log has lost nothing',
    plant: (run) => {
      const { line, record } = run.eventOf('c2');
      const { connection, atMs, cursor: from } = record;
      const to = `${EPOCH}-${sequenceOf(from) - 1}`;
      run.insertAfter(line, {
        kind: 'gap',
        atMs,
        connection,
        subscription: 'c2s0',
        from,
        to,
        reason: 'future',
      });
    },
    named: 'gaps are true',
  },
  {
    error: 'another log, although it is the same one',
    plant: (run) => {
      const { line, record } = run.eventOf('c2');
      const { connection, atMs, cursor: from } = record;
      const to = `${EPOCH}-0`;
      run.insertAfter(line, {
        kind: 'gap',
        atMs,
        connection,
        subscription: 'c2s0',
        from,
        to,
        reason: 'epoch',
      });
    },
    named: 'gaps are true',
  },
  {
    error: 'an expired part that nobody is told',
    plant: (run) => {
      const { line } = run.middle('gap', ({ reason, subscription }, at) => {
        const isLast = run.nextOf(at)?.kind === 'event';
        return reason === 'expired' && isLast && !subscription.startsWith('c1');
      });
      run.remove(line);
    },
    named: 'no hole',
    losses: true,
  },
  {
    error: 'a lost end that nobody is told',
    plant: (run) => {
      const [last] = run.final;
      const epoch = last?.kind === 'store' ? last.epoch : '';
      const closed = new Set(run.all('connection-closed').map(({ record }) => record.connection));
      const { line } = run.middle('gap', ({ to, connection, reason }) => {
        return reason === 'future' && to.startsWith(`${epoch}-`) && !closed.has(connection);
      });
      run.remove(line);
    },
    named: 'a lost end is told',
    losses: true,
  },
  {
    error: 'a lost end without a fault that loses it',
    plant: (run) => {
      for (const fault of run.all('fault')) run.change(fault, { loses: undefined });
    },
    named: 'the log keeps its end',
    before: ['acknowledged events are kept', 'only events of the log', 'pages equal the log'],
    losses: true,
  },
  {
    error: 'latest begins before the end of the log',
    plant: (run) => {
      const { atMs = 0 } = run.records.at(-1) ?? {};
      const on = { atMs, connection: 'late', subscription: 'late' };
      const token = { token: 't1', gateway: 'gateway-1', transport: 'websocket' as const };
      run.records.push(
        { kind: 'connect', atMs, connection: 'late', client: 'late', ...token },
        { kind: 'subscribe', ...on, patterns: ['>'], deliver: 'all', resumes: false },
        { kind: 'subscribed', ...on, cursor: `${EPOCH}-5` },
      );
    },
    named: 'the start',
  },
  {
    error: 'earliest begins after an event that a store has',
    plant: (run) => {
      const early = run.middle('subscribe', ({ after }) => after === 'earliest');
      const start = run.middle('subscribed', ({ connection, subscription }) => {
        return connection === early.record.connection && subscription === early.record.subscription;
      });
      run.change(start, { cursor: `${EPOCH}-60` });
    },
    named: 'the start',
  },
  {
    error: 'skipped tells one too many',
    plant: (run) => {
      const skipped = run.middle('skipped');
      run.change(skipped, { count: skipped.record.count + 1 });
    },
    named: 'skipped adds up',
  },
  {
    error: 'the newest event of a topic does not arrive',
    plant: (run) => {
      const { record } = run.middle('event', ({ connection }, line) => {
        return connection.startsWith('c1/') && run.nextOf(line)?.kind === 'live';
      });
      run.remove(run.records.indexOf(record));
    },
    named: 'the newest of each topic',
  },
  {
    error: 'live comes twice',
    plant: (run) => {
      const { line, record } = run.middle('live');
      run.insertAfter(line, record);
    },
    named: 'live once',
  },
  {
    error: 'a subscription is never live again',
    plant: (run) => {
      const lives = run.all('live', ({ subscription }) => subscription === 'c2s0');
      run.remove(lives.at(-1)?.line ?? 0);
    },
    named: 'live after the last fault',
  },
  {
    error: 'a subscription is live too late',
    plant: (run) => {
      run.change(run.middle('run'), { liveMs: 20 });
    },
    named: 'live after the last fault',
  },
];

test.each(PLANTED)('planted errors: $error: is found and named', finds);
