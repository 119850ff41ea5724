import { formatCursor, type Position, type Start } from '@tidemark/protocol';
import type { World } from './world.ts';

/** How near to the end the sequences of half of the invented cursors are. */
const NEAR_END = 20;

/** How far beyond the end the sequence of an invented cursor may lie. */
const BEYOND_MAX = 20;

/** A start at a cursor. */
export function ownStart(position: Position): Start {
  return { kind: 'cursor', position };
}

/** A start of any kind, also one that no server gave. */
export function anyStart({ random, history, clock }: World): Start {
  const kind = random.pick([
    'latest',
    'earliest',
    'last',
    'time',
    'cursor',
    'beyond',
    'other',
  ] as const);
  const { epoch } = history.version;
  if (kind === 'latest' || kind === 'earliest' || kind === 'last') return { kind };
  if (kind === 'time') {
    return { kind, timeMs: Math.floor(clock.nowMs - random.pick([0, 100, 2000, 20_000])) };
  }
  const { lastSequence: last } = history;
  if (kind === 'beyond') return ownStart({ epoch, sequence: last + random.between(1, BEYOND_MAX) });
  const first = random.chance(0.5) ? 0 : Math.max(0, last - NEAR_END);
  const sequence = random.between(first, last);
  const named = kind === 'cursor' ? epoch : random.pick(['zzz', ...history.epochs]);
  return ownStart({ epoch: named, sequence });
}

/** Formats a start as a client writes it. The simulated clock counts from 1970. */
export function formatStart(start: Start): string {
  if (start.kind === 'cursor') return formatCursor(start.position);
  return start.kind === 'time' ? new Date(start.timeMs).toISOString() : start.kind;
}
