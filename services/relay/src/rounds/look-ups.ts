import type { OutboxRow } from '../outbox/row.ts';
import { NoAnswerError } from '../requests/http.ts';
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
  /** @throws NoAnswerError */
  readonly lookUp: (wanted: Wanted, head: string) => Promise<Verdict>;
}

/**
 * Looks rows up in the stream that were sent before, or may have been, from the first on and as many as there is time for.
 * Where a gateway or replay does not answer, nothing more is asked: of the rows that are left it cannot be told. What was
 * found before counts all the same, so one row that gets no answer does not keep the others.
 */
export async function lookUpRows(
  rows: readonly OutboxRow[],
  { findHead, lookUp }: LookUpRequests,
  inTime: () => boolean,
): Promise<Found> {
  const stored: OutboxRow[] = [];
  const absent: OutboxRow[] = [];
  const unknown: { row: OutboxRow; why: Unknown }[] = [];
  const left = [...rows];
  const giveUp = (error: unknown, asked: readonly OutboxRow[] = []) => {
    if (!(error instanceof NoAnswerError)) throw error;
    const why = { unknown: error.message, forGood: false };
    for (const row of [...asked, ...left.splice(0)]) unknown.push({ row, why });
  };
  const look = async (row: OutboxRow, head: string) => {
    const { topic, source, id, attempted } = row;
    const verdict = await lookUp({ topic, source, id, since: attempted?.at ?? '' }, head);
    if (verdict === 'stored') stored.push(row);
    else if (verdict === 'absent') absent.push(row);
    else unknown.push({ row, why: verdict });
  };
  const work = async (head: string) => {
    for (let row = left.shift(); row; row = left.shift()) {
      const asked = [row];
      await look(row, head).catch((error) => giveUp(error, asked));
      if (!inTime()) return;
    }
  };
  await findHead().then(
    (head) => Promise.all(Array.from({ length: AT_ONCE_MAX }, () => work(head))),
    giveUp,
  );
  return { stored, absent, unknown };
}
