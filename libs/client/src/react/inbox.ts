import { useMemo } from 'react';
import type { InboxOptions, InboxView } from '../inbox/types.ts';
import type { CloudEvent, EventMap, EventOf } from '../types.ts';
import { type InboxActions, sharedInbox } from './inbox-store.ts';
import { type Failure, useLive } from './live-store.ts';
import { useScope } from './provider.ts';

/** What an inbox may choose. Another object that holds the same is the same inbox. */
export type UseInboxOptions = Omit<InboxOptions, 'signal'>;

/**
 * The inbox and what changes it. `view.error` says why it no longer follows changes. Actions reject as those of `Inbox`
 * do, and with `closed` where no component that uses the inbox is mounted.
 */
export interface UsedInbox<Event = CloudEvent> extends InboxActions {
  readonly view: Omit<InboxView<Event>, 'error'> & Failure;
}

/**
 * The inbox of the token's user. Components below one provider that ask for the same options share one inbox; it is
 * closed after the last of them has gone.
 *
 * ```tsx
 * const { view, read } = useInbox({ limit: 50 });
 * ```
 */
export function useInbox<Events extends EventMap = Record<string, unknown>>({
  state,
  topics,
  types,
  limit,
}: UseInboxOptions = {}): UsedInbox<EventOf<Events>> {
  const scope = useScope();
  const shared = sharedInbox(scope, JSON.stringify({ state, topics, types, limit }));
  const view = useLive(shared.store);
  const used = useMemo(() => ({ view, ...shared.actions }), [view, shared]);
  return used as unknown as UsedInbox<EventOf<Events>>;
}
