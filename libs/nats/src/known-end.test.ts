import { describe, expect, test } from 'vitest';
import { KnownEnd, OLDER_BELIEVED_MS, StaleAnswerError, type StreamAnswer } from './known-end.ts';

let nowMs = 0;

function answer(lastSequence: number, more: Partial<StreamAnswer> = {}): StreamAnswer {
  return {
    epoch: 'log',
    createdMs: 5,
    firstSequence: 1,
    lastSequence,
    replicated: true,
    leader: 'a',
    ...more,
  };
}

function known(sequence: number): KnownEnd {
  nowMs = 0;
  const end = new KnownEnd(() => nowMs);
  end.check(answer(sequence));
  return end;
}

describe('answers about a replicated stream', () => {
  test('without a leader: not believed', () => {
    expect(() => known(10).check(answer(20, { leader: undefined }))).toThrow(StaleAnswerError);
  });

  test('of an older stream: not believed; of a newer one: believed, though it is shorter', () => {
    const end = known(10);
    expect(() => end.check(answer(20, { createdMs: 4 }))).toThrow(StaleAnswerError);
    end.check(answer(1, { createdMs: 6 }));
    expect(end.sequence).toBe(1);
  });

  test('of an epoch that the log has left: not believed; of the next epoch: believed, though lower', () => {
    const end = known(10);
    const next = { epoch: 'log.a', earlier: [{ epoch: 'log', through: 8 }] };
    end.check(answer(8, next));
    expect(() => end.check(answer(10))).toThrow('older epoch');
    expect(end.sequence).toBe(8);
  });

  test('of a backup that was restored: believed when all of some seconds agree', () => {
    const end = known(10);
    expect(() => end.check(answer(5, { createdMs: 4 }))).toThrow(StaleAnswerError);
    nowMs = OLDER_BELIEVED_MS;
    // One server may have been held up between two answers.
    expect(() => end.check(answer(5, { createdMs: 4 }))).toThrow(StaleAnswerError);
    end.check(answer(5, { createdMs: 4 }));
    expect(end.sequence).toBe(5);
  });

  test('lower than a record or an answer: not believed, until all of some seconds agree', () => {
    const end = known(10);
    end.noteSequence(12);
    expect(() => end.check(answer(11))).toThrow('up to 11, and it reaches 12 at least');
    nowMs = OLDER_BELIEVED_MS - 1;
    expect(() => end.check(answer(11))).toThrow(StaleAnswerError);
    nowMs = OLDER_BELIEVED_MS;
    end.check(answer(11));
    expect(end.sequence).toBe(11);
  });

  test('lower than a record that arrived after the question: believed, and the record not forgotten', () => {
    const end = known(10);
    const asked = end.sequence;
    end.noteSequence(12);
    end.check(answer(11), asked);
    expect(end.sequence).toBe(12);
  });

  test('that a cursor is beyond the end: not believed where a record has reached it meanwhile', () => {
    const end = known(10);
    const state = answer(11);
    end.checkBeyond(state, 12);
    end.noteSequence(12);
    expect(() => end.checkBeyond(state, 12)).toThrow('up to 11, and it reaches 12');
    end.checkBeyond(state, 13);
    end.checkBeyond(answer(12), 12);
  });

  test('lower, and between them one that is not: the time begins anew', () => {
    const end = known(10);
    expect(() => end.check(answer(9))).toThrow(StaleAnswerError);
    end.check(answer(10));
    nowMs = OLDER_BELIEVED_MS;
    expect(() => end.check(answer(9))).toThrow(StaleAnswerError);
  });
});

test('answer about a stream with one copy: believed at once, lower or without a leader', () => {
  const end = known(10);
  end.check(answer(3, { replicated: false, leader: undefined }));
  expect(end.sequence).toBe(3);
});
