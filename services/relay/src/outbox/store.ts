import type { OutboxRow } from './row.ts';

/** Which rows to read. */
export interface RowQuery {
  readonly rowsMax: number;
  /** Bytes of all of them; one row is read even when it alone has more. */
  readonly bytesMax: number;
  /** Topics whose rows are left out. */
  readonly exceptTopics: readonly string[];
}

/** A row that no try can bring into the stream, and why. */
export interface FailedRow {
  readonly position: string;
  readonly failure: string;
}

/** A row that was set aside, as an operator sees it. */
export interface FailedRowInfo extends FailedRow {
  readonly topic: string;
  readonly source: string;
  readonly id: string;
  /** RFC 3339. */
  readonly failedAt: string;
}

/** Which rows are tried again. */
export interface RetryChoice {
  /** All that were set aside if absent. */
  readonly positions?: readonly string[];
  /** Whether they count as never sent: no look-up is made for them, so one that is in the stream may come twice. */
  readonly asNew?: boolean;
}

/** What is in an outbox. Counts end at `COUNTED_ROWS_MAX`. */
export interface Backlog {
  readonly waiting: number;
  readonly failed: number;
  /** Age of the first row that waits, in ms; 0 where none does. */
  readonly ageMs: number;
}

/** Counting more rows would take the database seconds. */
export const COUNTED_ROWS_MAX = 100_000;

/** Longest `failure` of a row, in characters. */
export const FAILURE_LENGTH_MAX = 500;

/**
 * The outbox of one database, through one connection. What fails there is thrown as it comes; the store is of no use
 * from then on, and the caller closes it and opens another.
 */
export interface OutboxStore {
  /** Takes the lock that only one relay has. It is given back when the store is closed or the process ends. */
  takeLock(): Promise<boolean>;
  /** Whether this relay certainly has the lock at this moment. It asks nobody. */
  readonly holdsLock: boolean;
  /** The rows that wait and are committed, by position. */
  readRows(query: RowQuery): Promise<OutboxRow[]>;
  /**
   * Marks rows as attempted from now on, durably: those that are not yet, and those of `anew` again.
   *
   * @returns the positions that were marked; a row that is gone, or was set aside, is none
   */
  markAttempted(positions: readonly string[], anew: readonly string[]): Promise<Set<string>>;
  deleteRows(positions: readonly string[]): Promise<void>;
  setAside(rows: readonly FailedRow[]): Promise<void>;
  readBacklog(): Promise<Backlog>;
  /** The first rows that were set aside. */
  listFailed(rowsMax: number): Promise<FailedRowInfo[]>;
  /** Lets rows be tried again that were set aside. @returns how many */
  retry(choice: RetryChoice): Promise<number>;
  /** Resolves when there may be new rows, after `ms`, or when the signal is aborted. */
  waitForRows(ms: number, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
