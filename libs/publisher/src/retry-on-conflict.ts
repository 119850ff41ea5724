import { setTimeout as sleep } from 'node:timers/promises';
import { backoffMs } from './backoff.ts';
import { TidemarkPublisherError } from './errors.ts';
import type {
  AppendOptions,
  EventAttributes,
  Published,
  ReadHint,
  Reading,
  RetryOptions,
} from './types.ts';

const TRIES_MAX = 20;
/** Writers that met once come back at different times; a read and an append take some milliseconds. */
const FIRST_WAIT_MS = 10;

/** Appends an event to the topic that the conflicts are about. */
export type Append = (event: EventAttributes, options: AppendOptions) => Promise<Published>;

/** `Publisher.retryOnConflict` for an append to one topic. */
export async function retryOnConflict<State>(
  append: Append,
  read: (hint: ReadHint) => Reading<State> | Promise<Reading<State>>,
  decide: (state: State) => EventAttributes | undefined | Promise<EventAttributes | undefined>,
  { triesMax = TRIES_MAX, signal }: RetryOptions = {},
): Promise<Published | undefined> {
  let hint: ReadHint = {};
  for (let attempt = 0; ; attempt++) {
    signal?.throwIfAborted();
    const { state, cursor } = await read(hint);
    const event = await decide(state);
    if (!event) return undefined;
    try {
      return await append(event, { ifMatch: cursor, ...(signal && { signal }) });
    } catch (error) {
      if (!isConflict(error) || attempt + 1 >= triesMax) throw error;
      hint = error.cursor ? { atLeast: error.cursor } : {};
    }
    await sleep(backoffMs(attempt, FIRST_WAIT_MS), undefined, signal && { signal });
  }
}

/**
 * Whether another event is the topic's last. Where the fate of the own one is unknown (`deadline_exceeded`), nothing is
 * decided again: that could store a second one.
 */
function isConflict(error: unknown): error is TidemarkPublisherError {
  return error instanceof TidemarkPublisherError && error.code === 'precondition_failed';
}
