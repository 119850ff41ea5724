import { systemEnvironment } from '../environment.ts';
import type { EventMap, EventOf, Tidemark } from '../types.ts';
import { OpenInbox } from './open-inbox.ts';
import type { Inbox, InboxOptions } from './types.ts';

export { CHANGES_MAX } from './change-queue.ts';
export { LIVE_ITEMS_MAX } from './item-list.ts';
export type * from './types.ts';

/**
 * Opens the inbox of the token's user (PROTOCOL 14). The token has `inbox:` for it, and `subscribe:` for the user's own
 * topics.
 *
 * ```ts
 * const inbox = openInbox(tidemark);
 * inbox.on('change', ({ items, counts }) => render(items, counts.unseen));
 * ```
 */
export function openInbox<Events extends EventMap = Record<string, unknown>>(
  tidemark: Tidemark<Events>,
  options: InboxOptions = {},
): Inbox<EventOf<Events>> {
  const client = tidemark as unknown as Tidemark;
  return new OpenInbox(client, options, systemEnvironment()) as unknown as Inbox<EventOf<Events>>;
}
