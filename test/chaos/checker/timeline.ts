import type { HistoryRecord } from '../history.ts';
import type { Concern, Violation } from './violation.ts';

/** Most lines before the violation, and after it. */
const LINES_BEFORE = 60;
const LINES_AFTER = 10;

/** Longest line, in characters: an export has many items. */
const LINE_LENGTH_MAX = 400;

/** The records around a violation that concern the same, and the faults. The violation stands among them. */
export function timelineOf(
  { atMs, check, message, concern }: Violation,
  records: Iterable<HistoryRecord>,
): string[] {
  const before: string[] = [];
  const after: string[] = [];
  const isConcerned = concernFilter(concern);
  for (const record of records) {
    if (!isConcerned(record)) continue;
    if (record.atMs > atMs && after.length >= LINES_AFTER) break;
    if (record.atMs > atMs) after.push(lineOf(record));
    else before.push(lineOf(record));
    if (before.length > 2 * LINES_BEFORE) before.splice(0, LINES_BEFORE);
  }
  const time = Number.isFinite(atMs) ? `${Math.round(atMs)} ms` : 'at the end';
  return [...before.slice(-LINES_BEFORE), `>>> ${time}  ${check}: ${message}`, ...after];
}

function concernFilter(concern: Concern): (record: HistoryRecord) => boolean {
  const { subscription, connection, topic, id, attempt, reader } = concern;
  const attempts = new Set(attempt === undefined ? [] : [attempt]);
  const isNarrow = subscription !== undefined || connection !== undefined || reader !== undefined;
  return (record) => {
    if (record.kind === 'fault' || record.kind === 'run' || record.kind === 'revoked') return true;
    if (record.kind === 'publish-answer') return attempts.has(record.attempt);
    if ('id' in record && record.id === id) {
      if (record.kind === 'publish-attempt') attempts.add(record.attempt);
      // Elsewhere the same event arrived too.
      return record.kind === 'publish-attempt' || record.connection === connection || !isNarrow;
    }
    if (record.kind === 'publish-attempt') {
      if (isNarrow || record.topic !== topic) return false;
      attempts.add(record.attempt);
      return true;
    }
    if ('reader' in record) return record.reader === reader;
    if ('subscription' in record) return record.subscription === subscription;
    if ('connection' in record) return record.connection === connection;
    return false;
  };
}

function lineOf({ kind, atMs, ...fields }: HistoryRecord): string {
  const texts = Object.entries(fields).map(([name, value]) => {
    return `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`;
  });
  const line = `${String(Math.round(atMs)).padStart(9)}  ${kind.padEnd(17)} ${texts.join(' ')}`;
  return line.length > LINE_LENGTH_MAX ? `${line.slice(0, LINE_LENGTH_MAX)} …` : line;
}
