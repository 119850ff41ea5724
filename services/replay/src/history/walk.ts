import { setImmediate as nextTurn } from 'node:timers/promises';
import { formatCursor, TidemarkError } from '@tidemark/protocol';
import {
  examined,
  isEmpty,
  type MissingRange,
  type Order,
  type Range,
  type StoredRow,
} from '../archive/windows.ts';
import type { HistoryQuery } from './query.ts';
import { missingWithin, type Span } from './span.ts';

/** One step of a walk: what it found and what is left to look at. */
export interface Step {
  readonly rows: readonly StoredRow[];
  readonly missing: readonly MissingRange[];
  readonly remaining: Range;
}

export interface StepLimits {
  readonly eventsMax: number;
  readonly bytesMax: number;
}

/**
 * Goes through a span in short synchronous steps, with a turn of the event loop after each, so
 * that no query holds up the projection or another request.
 *
 * @param limits asked before each step; `undefined` ends the walk
 */
export async function* walk(
  span: Span,
  { criteria, order }: HistoryQuery,
  limits: () => StepLimits | undefined,
): AsyncGenerator<Step> {
  const { archive } = span;
  const selection = archive.select(criteria);
  let left = span.range;
  for (let next = limits(); next && !isEmpty(left); next = limits()) {
    if (!archive.open) {
      throw new TidemarkError('unavailable', 'The stream was replaced by another one meanwhile.');
    }
    const { rows, remaining } = selection.read({ ...left, ...next, order });
    const missing = missingWithin(span, examined(left, remaining, order));
    left = remaining;
    yield { rows, missing, remaining };
    await nextTurn();
  }
}

/** The cursor to go on with: as `after` in ascending order, as `before` in descending order. */
export function nextCursor(epoch: string, { after, through }: Range, order: Order): string {
  return formatCursor({ epoch, sequence: order === 'asc' ? after : through + 1 });
}

/** `{"cursor":"…","event":` + JSON + `}`: the stored text goes in as it is. */
export function itemText(epoch: string, { sequence, json }: StoredRow): string {
  return `{"cursor":"${formatCursor({ epoch, sequence })}","event":${json}}`;
}
