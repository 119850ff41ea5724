import { TidemarkError } from './errors.ts';

/** A position in the log: an epoch, and the sequence of the last event before it. */
export interface Position {
  /** The stream's incarnation; positions of two epochs cannot be compared. */
  readonly epoch: string;
  /** Stream sequence, 0 before the first event. */
  readonly sequence: number;
}

/** The header that names a position in answers over HTTP. */
export const POSITION_HEADER = 'Tidemark-Position';

/** Where a subscription or query begins (PROTOCOL.md section 4). */
export type Start =
  | { readonly kind: 'latest' }
  | { readonly kind: 'earliest' }
  /**
   * First the newest event of each topic, as of one position, and then everything after that. The position has
   * reached `atLeast`, if that is set.
   */
  | { readonly kind: 'last'; readonly atLeast?: Position }
  | { readonly kind: 'cursor'; readonly position: Position }
  | { readonly kind: 'time'; readonly timeMs: number };

/** The form of a cursor. */
export const CURSOR = /^([a-z0-9.]{1,40})-(0|[1-9][0-9]{0,15})$/;
const TIME =
  /^\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])[Tt](?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)(?:\.\d+)?(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;

/**
 * The cursor of a position, as clients see it.
 *
 * @example formatCursor({ epoch: 'm4x1k2', sequence: 17 }) // 'm4x1k2-17'
 */
export function formatCursor({ epoch, sequence }: Position): string {
  return `${epoch}-${sequence}`;
}

/** The length of the cursor in characters, without formatting it: every catch-up event needs it. */
export function cursorLength({ epoch, sequence }: Position): number {
  let digits = 1;
  for (let limit = 10; sequence >= limit; limit *= 10) digits++;
  return epoch.length + 1 + digits;
}

/**
 * Reads a cursor.
 *
 * @throws TidemarkError `invalid_cursor`
 */
export function parseCursor(text: string): Position {
  const match = CURSOR.exec(text);
  const sequence = Number(match?.[2]);
  if (!match?.[1] || !Number.isSafeInteger(sequence)) {
    throw new TidemarkError(
      'invalid_cursor',
      `${JSON.stringify(text.slice(0, 80))} is not a cursor.`,
    );
  }
  return { epoch: match[1], sequence };
}

/** The cursor with the highest sequence, of well-formed cursors that the answer to one request names. */
export function highestCursor(cursors: readonly string[]): string | undefined {
  let highest: string | undefined;
  let reached = -1;
  for (const cursor of cursors) {
    const sequence = Number(cursor.slice(cursor.lastIndexOf('-') + 1));
    if (sequence <= reached) continue;
    highest = cursor;
    reached = sequence;
  }
  return highest;
}

/**
 * Reads where to begin: `latest`, `earliest`, `last`, an RFC 3339 time or a cursor. Nothing means `latest`.
 *
 * @throws TidemarkError `invalid_time` or `invalid_cursor`
 */
export function parseStart(text: string | undefined): Start {
  if (text === undefined || text === '' || text === 'latest') return { kind: 'latest' };
  if (text === 'earliest') return { kind: 'earliest' };
  if (text === 'last') return { kind: 'last' };
  if (looksLikeTime(text)) return { kind: 'time', timeMs: parseTime(text) };
  return { kind: 'cursor', position: parseCursor(text) };
}

/** Whether a text is an RFC 3339 time of an existing day. */
export function isTime(text: string): boolean {
  return TIME.test(text) && isDay(text);
}

/** `Date.parse` accepts the 30th of February. Days up to the 28th need no look at the calendar. */
function isDay(text: string): boolean {
  const day = Number(text.slice(8, 10));
  if (day <= 28) return true;
  const lastOfMonth = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0));
  return day <= lastOfMonth.getUTCDate();
}

/**
 * Reads an RFC 3339 time.
 *
 * @returns milliseconds since 1970
 * @throws TidemarkError `invalid_time`
 */
export function parseTime(text: string): number {
  if (!isTime(text)) {
    throw new TidemarkError(
      'invalid_time',
      `${JSON.stringify(text.slice(0, 80))} is not an RFC 3339 time such as 2026-01-31T12:00:00Z.`,
    );
  }
  return toMs(text);
}

function looksLikeTime(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}/.test(text);
}

function toMs(text: string): number {
  // RFC 3339 allows small letters and leap seconds, which `Date.parse` refuses. A leap second counts as
  // the second before it.
  const plain = Date.parse(text);
  if (!Number.isNaN(plain)) return plain;
  return Date.parse(text.toUpperCase().replace(/:60(?=[.Z+-])/, ':59'));
}
