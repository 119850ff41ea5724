import type { EventMap, EventOf, Tidemark } from '../types.ts';
import type { Inbox, InboxOptions } from './types.ts';

export type * from './types.ts';

/** Opens the inbox of the token's user (PROTOCOL 14). */
export function openInbox<Events extends EventMap = Record<string, unknown>>(
  _tidemark: Tidemark<Events>,
  _options: InboxOptions = {},
): Inbox<EventOf<Events>> {
  throw new TypeError('The inbox is not there yet.');
}
