'use client';

export { NotificationBell, type NotificationBellProps } from './bell.tsx';
export type { BellLabels } from './bell-labels.ts';
export type { BellClassNames, BellPart } from './bell-parts.ts';
export {
  type EventList,
  LIST_EVENTS_MAX,
  LIST_GAPS_MAX,
  type UseEventsOptions,
  useEvents,
} from './events.ts';
export { type UsedInbox, type UseInboxOptions, useInbox } from './inbox.ts';
export type { InboxActions } from './inbox-store.ts';
export type { Failure } from './live-store.ts';
export { TidemarkProvider, type TidemarkProviderProps, useTidemark } from './provider.ts';
export { type SnapshotView, type UseSnapshotOptions, useSnapshot } from './snapshot.ts';
export { useStatus } from './status.ts';
