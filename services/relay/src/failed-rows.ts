import { openStore, type StoreOptions } from './outbox/open-store.ts';
import type { FailedRowInfo, RetryChoice } from './outbox/store.ts';

export type { FailedRowInfo, RetryChoice } from './outbox/store.ts';

/** Where the outbox is. */
export type OutboxPlace = Pick<StoreOptions, 'databaseUrl' | 'table'>;

const POSITION = /^\d{1,19}$/;

/** How long PostgreSQL keeps a session that says nothing, in seconds. */
const SESSION_SECONDS = 60;

/**
 * The first rows of an outbox that a relay has set aside.
 *
 * @throws Error where the database cannot be reached
 */
export async function listFailedRows(place: OutboxPlace, rowsMax = 100): Promise<FailedRowInfo[]> {
  const store = await openStore({ ...place, lockSeconds: SESSION_SECONDS });
  return store.listFailed(rowsMax).finally(() => store.close());
}

/**
 * Lets a relay try rows again that were set aside, whether one runs or not. They come behind what of their topics went on
 * meanwhile.
 *
 * @returns how many rows
 * @throws TypeError for a position that is none; Error where the database cannot be reached
 */
export async function retryFailedRows(
  place: OutboxPlace,
  choice: RetryChoice = {},
): Promise<number> {
  const wrong = choice.positions?.find((position) => !POSITION.test(position));
  if (wrong !== undefined) throw new TypeError(`${wrong} is not the position of a row.`);
  const store = await openStore({ ...place, lockSeconds: SESSION_SECONDS });
  return store.retry(choice).finally(() => store.close());
}
