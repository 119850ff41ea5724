import type { OutboxRow } from '../outbox/row.ts';
import type { Unknown, Verdict, Wanted } from '../requests/look-up.ts';

/** Most requests to replay at one time. */
const AT_ONCE_MAX = 8;

/** Rows of which nobody knows any more whether they are in the stream, by what was found. Others were not looked up yet. */
export interface Found {
  readonly stored: readonly OutboxRow[];
  readonly absent: readonly OutboxRow[];
  readonly unknown: readonly { readonly row: OutboxRow; readonly why: Unknown }[];
}

/** The requests of look-ups. */
export interface LookUpRequests {
  /** The end of the log, behind everything that was stored before. @throws NoAnswerError */
  readonly findHead: () => Promise<string>;
  readonly lookUp: (wanted: Wanted, head: string) => Promise<Verdict>;
}

/**
 * Looks rows up in the stream that were sent before, or may have been, from the first on and as many as there is time for.
 *
 * @throws NoAnswerError where a gateway or replay does not answer
 */
export async function lookUpRows(
  rows: readonly OutboxRow[],
  { findHead, lookUp }: LookUpRequests,
  inTime: () => boolean,
): Promise<Found> {
  const head = await findHead();
  const stored: OutboxRow[] = [];
  const absent: OutboxRow[] = [];
  const unknown: { row: OutboxRow; why: Unknown }[] = [];
  const left = [...rows];
  const work = async () => {
    for (let row = left.shift(); row; row = left.shift()) {
      const { topic, source, id, attempted } = row;
      const verdict = await lookUp({ topic, source, id, since: attempted?.at ?? '' }, head);
      if (verdict === 'stored') stored.push(row);
      else if (verdict === 'absent') absent.push(row);
      else unknown.push({ row, why: verdict });
      if (!inTime()) return;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE_MAX }, work));
  return { stored, absent, unknown };
}
