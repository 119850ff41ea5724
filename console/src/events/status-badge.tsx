import type { Status } from '@tidemark/client';
import { Badge } from '../ui/badge.tsx';
import { count } from '../ui/format.ts';

/** What a connection of the client library does, in words. */
export function StatusBadge({ status }: { status: Status | undefined }) {
  switch (status?.state) {
    case undefined:
      return null;
    case 'connecting':
      return <Badge>connecting</Badge>;
    case 'catching-up':
      return <Badge kind="warning">catching up: {count(status.events)} events</Badge>;
    case 'live':
      return <Badge kind="good">live</Badge>;
    case 'offline':
      return (
        <Badge kind="bad" title="It comes back by itself, at its position.">
          offline
        </Badge>
      );
    case 'stopped':
      return <Badge kind="bad">stopped: {status.reason}</Badge>;
  }
}
