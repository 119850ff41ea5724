import {
  changeInbox,
  EMPTY_INBOX,
  encodeInbox,
  type InboxChange,
  itemState,
} from '@tidemark/protocol';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { marker, presentState, statesOf } from './states.ts';
import type { ChangeData, MarkBody } from './wire.ts';

/* What marks make of an item here is what they make of it at the service. */

const NOW = 1_800_000_000_000;
const END = 8;
const toCursor = (sequence: number) => `log-${sequence}`;

const cursors = fc.array(fc.integer({ min: 1, max: END }), { minLength: 1, maxLength: 3 });
const mark = fc.oneof(
  fc.record({ kind: fc.constantFrom('seen', 'read', 'archived'), upTo: fc.nat(END) }),
  fc.record({
    kind: fc.constantFrom('seen', 'read', 'unread', 'archived', 'unarchived'),
    sequences: cursors,
  }),
  fc.record({
    kind: fc.constant('snoozed'),
    sequences: cursors,
    untilMs: fc.integer({ min: NOW - 50, max: NOW + 50 }),
  }),
) as fc.Arbitrary<InboxChange>;

function toBody(change: InboxChange): MarkBody {
  const { kind, upTo, sequences, untilMs } = change as InboxChange & {
    upTo?: number;
    sequences?: number[];
    untilMs?: number;
  };
  return {
    mark: kind as MarkBody['mark'],
    ...(upTo !== undefined && { upTo: toCursor(upTo) }),
    ...(sequences && { cursors: sequences.map(toCursor) }),
    ...(untilMs !== undefined && { until: new Date(untilMs).toISOString() }),
  };
}

test('states: any marks, with what the service said before and without: are those of the protocol', () => {
  const change = (all: readonly InboxChange[], from = EMPTY_INBOX) =>
    all.reduce((state, one) => changeInbox(state, one, { end: END, nowMs: NOW }), from);
  fc.assert(
    fc.property(
      fc.array(mark),
      fc.array(mark),
      fc.integer({ min: 1, max: END }),
      (stored, pending, sequence) => {
        const before = change(stored);
        const data = { topics: [], ...encodeInbox(before, toCursor) } as unknown as ChangeData;
        const said = statesOf(data)(sequence);
        const state = pending
          .map(toBody)
          .map(marker)
          .reduce((one, on) => on(sequence, one), said);
        const { snoozedUntilMs, ...flags } = itemState(change(pending, before), sequence, NOW);
        expect(presentState(state, NOW)).toEqual({
          ...flags,
          ...(snoozedUntilMs && { snoozed: new Date(snoozedUntilMs).toISOString() }),
        });
      },
    ),
    { numRuns: 1000 },
  );
});
