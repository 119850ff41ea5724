import type { ComponentType } from 'preact';
import { mayAdmin, mayAny } from '../api/session.ts';
import type { IconName } from '../ui/icon.tsx';

/** A page of the console, at `#/<name>`. */
export interface Page {
  readonly name: IconName;
  readonly title: string;
  readonly group: 'Operate' | 'Events';
  /** The second key of `g …`. */
  readonly key: string;
  /** Whether the token allows anything that it shows. */
  readonly allowed: () => boolean;
  /** Each page is a file of its own, loaded when it is first shown. */
  readonly load: () => Promise<{ default: ComponentType }>;
}

export const PAGES: readonly Page[] = [
  {
    name: 'now',
    title: 'Now',
    group: 'Operate',
    key: 'n',
    allowed: mayAdmin,
    load: () => import('../pages/now/page.tsx'),
  },
  {
    name: 'connections',
    title: 'Connections',
    group: 'Operate',
    key: 'c',
    allowed: mayAdmin,
    load: () => import('../pages/connections/page.tsx'),
  },
  {
    name: 'replay',
    title: 'Replay and archive',
    group: 'Operate',
    key: 'r',
    allowed: mayAdmin,
    load: () => import('../pages/replay/page.tsx'),
  },
  {
    name: 'streams',
    title: 'Streams and NATS',
    group: 'Operate',
    key: 's',
    allowed: mayAdmin,
    load: () => import('../pages/streams/page.tsx'),
  },
  {
    name: 'topics',
    title: 'Topics',
    group: 'Events',
    key: 't',
    allowed: () => mayAny('history', 'subscribe'),
    load: () => import('../pages/topics/page.tsx'),
  },
  {
    name: 'event',
    title: 'One event',
    group: 'Events',
    key: 'e',
    allowed: () => mayAdmin() || mayAny('history'),
    load: () => import('../pages/event/page.tsx'),
  },
  {
    name: 'try-it',
    title: 'Try it',
    group: 'Events',
    key: 'y',
    allowed: () => mayAny('subscribe', 'publish'),
    load: () => import('../pages/try-it/page.tsx'),
  },
  {
    name: 'inbox',
    title: 'Inbox',
    group: 'Events',
    key: 'i',
    // An operator may read the inbox of another user.
    allowed: () => mayAdmin() || mayAny('inbox'),
    load: () => import('../pages/inbox/page.tsx'),
  },
];

/** Those that the token allows, in their order. */
export function allowedPages(): readonly Page[] {
  return PAGES.filter((page) => page.allowed());
}
