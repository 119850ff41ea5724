import { isSameLog } from '@tidemark/protocol';
import type { History } from './history.ts';
import type { LogVersion, StoredRecord } from './versions.ts';
import { ensure } from './violation.ts';

/** When a reader asked, and the head of its gateway's log then. */
interface Asked {
  readonly nowMs: number;
  readonly head: number;
}

/** The part of a log that a gap is about. */
interface Gap {
  readonly version: LogVersion;
  readonly after: number;
  readonly through: number;
}

/**
 * Checks that an event that a reader gets was there when it asked, unless its gateway could not know of the erasure
 * then.
 */
export function checkErased(
  id: string,
  { sequence, erasedBy, goneMs = Number.POSITIVE_INFINITY }: StoredRecord,
  { nowMs = 0, head = 0 }: Partial<Asked> = {},
): void {
  const isKnown = erasedBy !== undefined && erasedBy.sequence <= head && goneMs < nowMs;
  ensure(!isKnown, 'erased', () => `${id} got ${sequence}, which was erased when it asked`);
}

/** Checks that a gap is not about what was erased alone, while the stream still has what is before it. */
export function checkNotErased(
  reader: { readonly id: string; matches(record: StoredRecord): boolean },
  history: History,
  { version, after, through }: Gap,
): void {
  if (!isSameLog(history.version.epoch, version.epoch) || history.firstSequence > after) return;
  const left = [...history.range(version, after, through)].filter((one) => reader.matches(one));
  const isErasure = left.length > 0 && left.every(({ erasedBy }) => erasedBy);
  ensure(!isErasure, 'gap true', () => `${reader.id} was told a gap over what was erased`);
}
