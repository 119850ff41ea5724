import { parseCursor, toPresent } from '@tidemark/protocol';
import { describe, expect, test } from 'vitest';
import {
  EARLIER_EPOCHS_MAX,
  goOnFrom,
  leaveEpoch,
  lineageMetadata,
  namesLog,
  readLineage,
} from './lineage.ts';

describe('metadata of the stream', () => {
  test('none: the epoch is the time of creation, as in cursors of earlier versions', () => {
    expect(readLineage({ other: 'entry' }, 1_700_000_000_000)).toEqual({ epoch: 'loyw3v28' });
    expect(namesLog({ other: 'entry' })).toBe(false);
  });

  test('written and read: the same, whatever the time of creation', () => {
    const lineage = leaveEpoch(leaveEpoch({ epoch: 'log' }, 10), 7);
    expect(readLineage(lineageMetadata(lineage), 5)).toEqual(lineage);
    expect(namesLog(lineageMetadata({ epoch: 'log' }))).toBe(true);
  });

  test.each([{ tidemark_epoch: 'Not one' }, { tidemark_epoch: 'log.a', tidemark_earlier: 'log' }])(
    'that somebody has changed: %j is refused',
    (metadata) => {
      expect(() => readLineage(metadata, 5)).toThrow('cannot be read');
    },
  );
});

describe('log that loses its end', () => {
  test('new epoch: of the same log, and the old positions up to the loss go on', () => {
    const lineage = leaveEpoch({ epoch: 'log' }, 10);
    expect(lineage.epoch).toMatch(/^log\.[a-z0-9]{8}$/);
    expect(parseCursor(`${lineage.epoch}-3`)).toEqual({ epoch: lineage.epoch, sequence: 3 });
    expect(toPresent(lineage, { epoch: 'log', sequence: 10 })).toEqual({
      sequence: 10,
      lost: false,
    });
    expect(toPresent(lineage, { epoch: 'log', sequence: 11 })).toEqual({
      sequence: 10,
      lost: true,
    });
  });

  test('twice: what the second loss took is gone for the first epoch too', () => {
    const lineage = leaveEpoch(leaveEpoch({ epoch: 'log' }, 10), 7);
    expect(toPresent(lineage, { epoch: 'log', sequence: 9 })).toEqual({ sequence: 7, lost: true });
  });

  test('name: the same for whoever finds the loss, another for every loss', () => {
    const once = leaveEpoch({ epoch: 'log' }, 10);
    expect(leaveEpoch({ epoch: 'log' }, 10)).toEqual(once);
    expect(leaveEpoch(once, 10).epoch).not.toBe(once.epoch);
    expect(leaveEpoch({ epoch: 'log' }, 9).epoch).not.toBe(once.epoch);
  });

  test('many times: the oldest epochs are forgotten', () => {
    let lineage = leaveEpoch({ epoch: 'log' }, 100);
    for (let loss = 0; loss < EARLIER_EPOCHS_MAX; loss++) lineage = leaveEpoch(lineage, 100);
    expect(lineage.earlier).toHaveLength(EARLIER_EPOCHS_MAX);
    expect(toPresent(lineage, { epoch: 'log', sequence: 1 })).toBeUndefined();
    // Metadata of a stream is limited to 128 KiB.
    expect(JSON.stringify(lineageMetadata(lineage)).length).toBeLessThan(2000);
  });
});

describe('log that goes on from a copy of its stream', () => {
  const copy = { lineage: { epoch: 'log' }, through: 10 };
  const at = (epoch: string, sequence: number) => ({ epoch, sequence });

  test('new epoch: shares the old one up to the end of the copy', () => {
    const lineage = goOnFrom(copy, []);
    expect(lineage.epoch).toMatch(/^log\.[a-z0-9]{8}$/);
    expect(toPresent(lineage, at('log', 10))).toEqual({ sequence: 10, lost: false });
    expect(toPresent(lineage, at('log', 11))).toEqual({ sequence: 10, lost: true });
  });

  test('several times from one copy: each time another epoch', () => {
    const names = [1, 2, 3].map(() => goOnFrom(copy, []).epoch);
    expect(new Set(names).size).toBe(3);
  });

  test('known epochs that came after the copy: shared as far as they share its events', () => {
    const lost = leaveEpoch({ epoch: 'log' }, 7);
    const restored = goOnFrom(copy, []);
    const lineage = goOnFrom(copy, [lost, restored, { epoch: 'other' }]);
    expect(toPresent(lineage, at('log', 9))).toEqual({ sequence: 9, lost: false });
    expect(toPresent(lineage, at(lost.epoch, 9))).toEqual({ sequence: 7, lost: true });
    expect(toPresent(lineage, at(restored.epoch, 9))).toEqual({ sequence: 9, lost: false });
    expect(toPresent(lineage, at(restored.epoch, 11))).toEqual({ sequence: 10, lost: true });
    expect(toPresent(lineage, at('other', 3))).toBeUndefined();
  });

  test('known epochs that came before the copy: stay as the copy has them', () => {
    const later = leaveEpoch({ epoch: 'log' }, 7);
    const lineage = goOnFrom({ lineage: later, through: 10 }, [{ epoch: 'log' }]);
    expect(toPresent(lineage, at('log', 9))).toEqual({ sequence: 7, lost: true });
    expect(toPresent(lineage, at(later.epoch, 9))).toEqual({ sequence: 9, lost: false });
  });
});
