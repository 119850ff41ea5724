import { test } from 'vitest';
import { EPOCH, finds, type Planted, sequenceOf } from './planted-errors.ts';

const PLANTED: readonly Planted[] = [
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

test.each(PLANTED)('planted errors: $error: is found and named', finds);
