import fc from 'fast-check';
import { expect, test } from 'vitest';
import { splitChunks } from './chunks.ts';
import type { OutgoingEvent } from './outgoing-event.ts';

const event = fc
  .record({ topic: fc.constantFrom('a', 'b', 'c'), bytes: fc.integer({ min: 1, max: 120 }) })
  .map(({ topic, bytes }) => {
    const json = 'x'.repeat(bytes);
    return { topic, json, bytes, id: '1', source: '/', trace: {} } satisfies OutgoingEvent;
  });

test.each([true, false])(
  'chunks, keepOrder %s: hold all events in order, within the limits, and no fewer than fit',
  (keepOrder) => {
    const limits = { eventsMax: 5, bytesMax: 200, keepOrder };
    fc.assert(
      fc.property(fc.array(event), (events) => {
        const chunks = Array.from(splitChunks(events, limits));
        expect(chunks.flat()).toEqual(events);
        const fits = (chunk: readonly OutgoingEvent[]) =>
          chunk.length <= 5 &&
          `[${chunk.map(({ json }) => json).join(',')}]`.length <= 200 &&
          (!keepOrder || new Set(chunk.map(({ topic }) => topic)).size === chunk.length);
        expect(chunks.every((chunk) => fits(chunk) || chunk.length === 1)).toBe(true);
        for (const [index, chunk] of chunks.slice(1).entries()) {
          const longer = [...(chunks[index] ?? []), ...chunk.slice(0, 1)];
          const bytes = longer.reduce((sum, one) => sum + one.bytes + 2, 0);
          expect(fits(longer) && bytes <= 200).toBe(false);
        }
      }),
    );
  },
);
