import fc from 'fast-check';
import { expect, test } from 'vitest';
import { EventEntry } from '../log/event-entry.ts';
import { Tail } from '../log/tail.ts';
import { lastInCommon } from './divergence.ts';

const EPOCH = 'e';
const OTHER_MS = 1e6;

interface Case {
  /** The number of messages that the gateway has read. */
  readonly read: number;
  readonly tailMax: number;
  /** The last sequence that the stream kept of them. */
  readonly kept: number;
  /** The number of messages stored after the loss. */
  readonly grown: number;
  /** The last sequence that retention has removed since. */
  readonly expired: number;
}

async function find({ read, tailMax, kept, grown, expired }: Case) {
  const tail = new Tail(0, { bytesMax: 1e9, eventsMax: tailMax });
  for (let sequence = 1; sequence <= read; sequence++) {
    const event = { sequence, topic: 'a', timeMs: sequence, json: Buffer.from('{}') };
    tail.appendEntry(new EventEntry(EPOCH, event));
  }
  let asked = 0;
  const lastSequence = kept + grown;
  const bounds = { epoch: EPOCH, firstSequence: expired + 1, lastSequence };
  const common = await lastInCommon(tail, bounds, async (sequence) => {
    asked++;
    if (sequence <= expired || sequence > lastSequence) return undefined;
    return sequence <= kept ? sequence : OTHER_MS + sequence;
  });
  return { common, asked, floor: tail.floor };
}

test('divergence: nothing was lost: one request, and it is the whole stream', async () => {
  const found = await find({ read: 1000, tailMax: 500, kept: 1000, grown: 50, expired: 0 });
  expect(found).toMatchObject({ common: undefined, asked: 1 });
});

test('divergence: an empty tail: nothing is asked', async () => {
  const found = await find({ read: 0, tailMax: 10, kept: 0, grown: 5, expired: 0 });
  expect(found).toMatchObject({ common: undefined, asked: 0 });
});

test('divergence: lost, and grown by any number: where the events begin to differ', async () => {
  const size = fc.nat({ max: 60 });
  const run = fc.asyncProperty(
    fc.record({ read: size, tailMax: fc.integer({ min: 1, max: 60 }), lost: size, grown: size }),
    size,
    async ({ lost, ...rest }, gone) => {
      const kept = Math.max(0, rest.read - lost);
      const expired = Math.min(gone, kept + rest.grown);
      const { common, floor } = await find({ ...rest, kept, expired });
      const reach = Math.max(floor, expired);
      const last = Math.min(rest.read, kept + rest.grown);
      // Either no event can be compared, or all that can are older than the loss.
      const isWhole = last <= kept || last <= reach;
      expect(common).toBe(isWhole ? undefined : Math.max(kept, reach));
    },
  );
  await fc.assert(run, { numRuns: 500 });
});

test('divergence: the events expire while it is asked for: nothing is taken back', async () => {
  const tail = new Tail(0, { bytesMax: 1e9, eventsMax: 10 });
  for (let sequence = 1; sequence <= 10; sequence++) {
    const event = { sequence, topic: 'a', timeMs: sequence, json: Buffer.from('{}') };
    tail.appendEntry(new EventEntry(EPOCH, event));
  }
  const bounds = { epoch: EPOCH, firstSequence: 1, lastSequence: 10 };
  expect(await lastInCommon(tail, bounds, async () => undefined)).toBeUndefined();
});
