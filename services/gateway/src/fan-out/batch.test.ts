import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventEntry } from '../log/event-entry.ts';
import { webSocketEncoder } from '../transports/websocket/encoder.ts';
import { BATCH_BYTES_MAX, type Batch, BatchBuilder, WriteBuffer } from './batch.ts';

/** Of small events, of some of which several fit a batch, and of ones that are larger than a batch. */
const jsonBytes = fc.oneof(
  fc.integer({ min: 2, max: 300 }),
  fc.integer({ min: BATCH_BYTES_MAX / 4, max: BATCH_BYTES_MAX }),
  fc.integer({ min: BATCH_BYTES_MAX - 200, max: BATCH_BYTES_MAX + 200 }),
);

type WrittenBatch = Pick<Batch, 'bytes' | 'events' | 'after' | 'through'>;

/** How the events of one group, and those of one reader, become batches. */
const WAYS: Readonly<Record<string, (entries: readonly EventEntry[]) => readonly WrittenBatch[]>> =
  {
    'for a group': (entries) => {
      const builder = new BatchBuilder(webSocketEncoder);
      for (const entry of entries) builder.addEntry(entry);
      return builder.finish();
    },
    'for one reader': (entries) => {
      const batches: WrittenBatch[] = [];
      new WriteBuffer().writeEntries(entries, webSocketEncoder, (bytes, batch) => {
        batches.push({ ...batch, bytes: Buffer.from(bytes) });
        return 'reusable';
      });
      return batches;
    },
  };

for (const [way, toBatches] of Object.entries(WAYS)) {
  test(`batches ${way}: hold all events in order, and none but that of one event is larger than the limit`, () => {
    fc.assert(
      fc.property(fc.array(jsonBytes, { maxLength: 40 }), (sizes) => {
        const entries = sizes.map((bytes, index) => {
          const json = Buffer.alloc(bytes, 'x');
          return new EventEntry('e', { sequence: 2 * index + 1, topic: 'a', timeMs: 0, json });
        });
        const batches = toBatches(entries);
        const frames = entries.map((entry) => entry.frame(webSocketEncoder));
        const written = Buffer.concat(batches.map(({ bytes }) => bytes));
        expect(written.equals(Buffer.concat(frames))).toBe(true);
        let next = 0;
        for (const { bytes, events, after, through } of batches) {
          expect(bytes.length <= BATCH_BYTES_MAX || events === 1).toBe(true);
          expect(after).toBe((entries[next]?.sequence ?? 0) - 1);
          next += events;
          expect(through).toBe(entries[next - 1]?.sequence);
        }
        expect(next).toBe(entries.length);
      }),
    );
  });
}
