import type { Applicant, Flow } from '@tidemark/fairness';
import type { Start } from '@tidemark/protocol';
import type { ResolvedStart } from '../sources/start-resolver.ts';
import type { ConnectionContext } from './context.ts';
import type { Subscription } from './subscription.ts';

/** Whose start is looked for, and what its client asked for. */
export interface StartSearch {
  readonly flow: Flow;
  readonly subscription: Subscription;
  readonly start: Start;
}

/**
 * Finds the start of a subscription: again when the log has begun anew meanwhile. `Subscription.stopResolving` gives the
 * search up while it waits.
 *
 * @param begin is called with the start in a turn in which it is one of the present log: in this very turn where the tail
 *   knows it, so that messages keep the order of events
 * @throws TidemarkError when the start cannot be resolved, and what `begin` throws
 */
export async function findStart(
  context: ConnectionContext,
  { flow, subscription, start }: StartSearch,
  begin: (resolved: ResolvedStart) => void,
): Promise<void> {
  const { log, starts, lastStarts } = context;
  const applicant = (): Applicant => {
    const leaving = new AbortController();
    subscription.stopResolving = () => leaving.abort(new Error('Nobody waits for this start.'));
    return { flow, signal: leaving.signal };
  };
  const ask = (): ResolvedStart | Promise<ResolvedStart> => {
    if (start.kind !== 'last') return starts.resolve(start, log, applicant);
    const { patterns } = subscription;
    return lastStarts.resolve({ patterns, atLeast: start.atLeast }, log, applicant());
  };
  try {
    for (let settled = false; !settled; ) {
      const { beginnings } = log;
      const settle = (resolved: ResolvedStart): boolean => {
        if (beginnings !== log.beginnings) return false;
        begin(resolved);
        return true;
      };
      const answer = ask();
      settled =
        answer instanceof Promise
          ? await inTurn(context, flow, settle, await answer)
          : settle(answer);
    }
  } finally {
    subscription.stopResolving = undefined;
  }
}

/** Goes on when the user is next: one answer of the stream may resolve the starts of thousands. */
function inTurn<T, R>(
  { userWork }: Pick<ConnectionContext, 'userWork'>,
  flow: Flow,
  act: (input: T) => R,
  input: T,
): Promise<R> {
  return new Promise((resolve, reject) => {
    userWork.enqueue(() => {
      try {
        resolve(act(input));
      } catch (error) {
        reject(error);
      }
    }, flow);
  });
}
