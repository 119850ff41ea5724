import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EntryQueue } from './entry-queue.ts';
import { EventEntry } from './event-entry.ts';

function entry(sequence: number, timeMs: number): EventEntry {
  const json = Buffer.from('{}');
  return new EventEntry('e', { sequence, topic: 'a', timeMs, json });
}

/** Prepends, pushes or shifts this many entries; enough to pass the length at which a queue is cut. */
const change = fc.record({
  prepends: fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 4 }),
  pushes: fc.integer({ min: 0, max: 1500 }),
  shifts: fc.integer({ min: 0, max: 1500 }),
  look: fc.integer({ min: -1, max: 36_000 }),
});

describe('entry queue', () => {
  test('queue: any pushes, prepends and shifts: as an array', () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 8 }), (changes) => {
        const queue = new EntryQueue();
        const model: EventEntry[] = [];
        let sequence = 20_000;
        let oldest = sequence;
        for (const { prepends, pushes, shifts, look } of changes) {
          for (const count of prepends) {
            oldest = Math.min(oldest, model[0]?.sequence ?? oldest) - count;
            const older = Array.from({ length: count }, (_, index) => {
              return entry(oldest + index, Math.floor((oldest + index) / 4));
            });
            queue.prepend(older);
            model.unshift(...older);
          }
          for (let count = 0; count < pushes; count++) {
            sequence += 1 + (count % 2);
            const next = entry(sequence, Math.floor(sequence / 4));
            queue.push(next);
            model.push(next);
          }
          for (let count = 0; count < shifts; count++) expect(queue.shift()).toBe(model.shift());
          expect(queue.length).toBe(model.length);
          expect(queue.first).toBe(model[0]);
          expect(queue.last).toBe(model.at(-1));
          expect(queue.at(look)).toBe(look < 0 ? undefined : model[look]);
          const after = model.filter((one) => one.sequence <= look).length;
          expect(queue.indexAfter(look)).toBe(after);
          const before = model.filter((one) => one.timeMs < look).length;
          expect(queue.indexAtTime(look)).toBe(before);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('queue: cleared: empty, and used again', () => {
    const queue = new EntryQueue();
    queue.push(entry(1, 1));
    queue.clear();
    expect(queue.shift()).toBeUndefined();
    expect(queue.indexAfter(0)).toBe(0);
    queue.push(entry(2, 2));
    expect(queue.first?.sequence).toBe(2);
  });
});
