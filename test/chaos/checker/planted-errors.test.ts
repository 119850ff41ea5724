import { expect, test } from 'vitest';
import { check } from './check.ts';
import { fakeRun } from './fake-run.ts';
import { PlantedRun, sequenceOf, without } from './planted-errors.ts';

/** Runs that have a place for each error. */
const SEEDS = [3, 8, 21, 34];
const SEEDS_WITH_LOSSES = [3, 11, 14, 20];
const EPOCH = 'm4x1k2';

interface Planted {
  readonly error: string;
  plant(run: PlantedRun): void;
  /** The name of the promise that the report has to name. */
  readonly named: string;
  /** What the run may have broken even before, because of the same error. */
  readonly before?: readonly string[];
  readonly losses?: boolean;
}

const DELIVERIES: readonly Planted[] = [
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

const CONTROLS: readonly Planted[] = [
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

const APPENDS: readonly Planted[] = [
  {
    error: 'an acknowledged event is in no store',
    plant: (run) => {
      const { attempt } = run.publication(({ outcome }) => outcome === 'stored');
      run.changeStored((one) => (one.id === attempt.record.id ? undefined : one));
    },
    named: 'acknowledged events are kept',
    before: ['only events of the log', 'pages equal the log'],
  },
  {
    error: 'an acknowledgement names the cursor of another event',
    plant: (run) => {
      const { answer } = run.publication(({ outcome }) => outcome === 'stored');
      run.change(answer, { cursor: `${EPOCH}-${sequenceOf(answer.record.cursor) - 1}` });
    },
    named: 'the cursor of an acknowledgement',
  },
  {
    error: 'a duplicate names another cursor than the first',
    plant: (run) => {
      const { answer } = run.publication(({ outcome }) => outcome === 'duplicate');
      run.change(answer, { cursor: `${EPOCH}-${sequenceOf(answer.record.cursor) + 1}` });
    },
    named: 'the cursor of an acknowledgement',
  },
  {
    error: 'an event is stored twice',
    plant: (run) => {
      const { topic, id, sequence } = run.stored.at(-20) ?? { topic: '', id: '', sequence: 0 };
      const later = run.stored.find((one) => one.topic === topic && one.sequence > sequence);
      run.changeStored((one) => (one.sequence === later?.sequence ? { ...one, id } : one));
    },
    named: 'stored once',
  },
  {
    error: 'the log has an event that nobody published',
    plant: (run) => {
      const { sequence } = run.stored.at(-20) ?? { sequence: 0 };
      run.changeStored((one) => (one.sequence === sequence ? { ...one, id: 'ghost' } : one));
    },
    named: 'only what was published',
  },
  {
    error: 'a refused event is in the log',
    plant: (run) => {
      const attempts = new Map<string, number>();
      for (const { record } of run.all('publish-attempt')) {
        attempts.set(record.id, (attempts.get(record.id) ?? 0) + 1);
      }
      const { answer } = run.publication(
        ({ outcome }, { id }) => outcome === 'stored' && attempts.get(id) === 1,
      );
      run.change(answer, { outcome: 'refused', code: 'forbidden', cursor: undefined });
    },
    named: 'refused events are not stored',
  },
  {
    error: 'an event stands before one that was acknowledged before its attempt',
    plant: (run) => {
      const isPublish = /^(?:run|token|publish-)/;
      run.keep(({ kind }) => isPublish.test(kind));
      const early = run.stored.at(-60)?.id ?? '';
      const late = run.stored.at(-20)?.id ?? '';
      run.changeStored((one) => {
        if (one.id === early) return { ...one, id: late, topic: 'a.1' };
        return one.id === late ? { ...one, id: early, topic: 'a.1' } : one;
      });
      for (const attempt of run.all('publish-attempt', ({ id }) => id === early || id === late)) {
        run.change(attempt, { topic: 'a.1', condition: undefined });
        const answers = run.all('publish-answer', (one) => one.attempt === attempt.record.attempt);
        const { sequence } = run.stored.find(({ id }) => id === attempt.record.id) ?? {};
        for (const answer of answers) {
          run.change(answer, { outcome: 'stored', cursor: `${EPOCH}-${sequence}` });
        }
      }
    },
    named: 'order of the log',
  },
  {
    error: 'a conditional append does not follow the event that it names',
    plant: (run) => {
      const { attempt } = run.publication(
        ({ outcome }, { condition }) => outcome === 'stored' && sequenceOf(condition) > 100,
      );
      const { condition, topic } = attempt.record;
      const before = run.stored
        .filter((one) => one.topic === topic && one.sequence < sequenceOf(condition))
        .at(-1);
      run.change(attempt, { condition: `${EPOCH}-${before?.sequence}` });
    },
    named: 'a condition that was met',
  },
  {
    error: 'an append to an empty topic finds events in it',
    plant: (run) => {
      const { attempt } = run.publication(
        ({ outcome }, { condition }) =>
          outcome === 'stored' && sequenceOf(condition) >= run.streamFirst,
      );
      run.change(attempt, { condition: null });
    },
    named: 'a condition that was met',
  },
  {
    error: 'a contest has two winners',
    plant: (run) => {
      const stored = new Map(
        run
          .all('publish-answer', ({ outcome }) => outcome === 'stored')
          .map(({ record }) => [record.cursor, record.attempt]),
      );
      const attempts = new Map(
        run.all('publish-attempt').map(({ record }) => [record.attempt, record]),
      );
      const winnerOf = (cursor: string | null | undefined) =>
        attempts.get(stored.get(cursor ?? '') ?? 0);
      const { attempt } = run.publication(
        ({ outcome }, { condition }) => outcome === 'stored' && !!winnerOf(condition)?.condition,
      );
      run.change(attempt, { condition: winnerOf(attempt.record.condition)?.condition });
    },
    named: 'a contest has one winner',
  },
  {
    error: 'a condition is refused with its own cursor',
    plant: (run) => {
      const { answer, attempt } = run.publication(
        ({ code }, { condition }) => code === 'precondition_failed' && !!condition,
      );
      run.change(answer, { cursor: attempt.record.condition });
    },
    named: 'a condition that was refused',
  },
  {
    error: 'a condition is refused with a cursor that was the last one long before',
    plant: (run) => {
      const { answer, attempt } = run.publication(
        ({ code }, { condition }) => code === 'precondition_failed' && sequenceOf(condition) > 60,
      );
      const first = run.stored.find(({ topic }) => topic === attempt.record.topic);
      run.change(answer, { cursor: `${EPOCH}-${first?.sequence}` });
    },
    named: 'a condition that was refused',
  },
  {
    error: 'a condition is refused with a cursor that became the last one later',
    plant: (run) => {
      const { answer, attempt } = run.publication(
        ({ code }, { condition }) => code === 'precondition_failed' && !!condition,
      );
      const last = run.stored.findLast(({ topic }) => topic === attempt.record.topic);
      run.change(answer, { cursor: `${EPOCH}-${last?.sequence}` });
    },
    named: 'a condition that was refused',
  },
];

const READS: readonly Planted[] = [
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

test.each([...DELIVERIES, ...CONTROLS, ...APPENDS, ...READS])(
  'planted errors: $error: is found and named',
  ({ plant, named, before = [], losses = false }) => {
    for (const seed of losses ? SEEDS_WITH_LOSSES : SEEDS) {
      const run = new PlantedRun(fakeRun({ seed, losses }));
      plant(run);
      const report = check({ records: () => run.records, final: () => run.final });
      const text = report.first?.timeline.join('\n');
      expect([named, ...before], `seed ${seed}: ${text}`).toContain(report.first?.check);
      expect(Object.keys(report.violations)).toContain(named);
      expect(text).toContain('>>>');
    }
  },
);
