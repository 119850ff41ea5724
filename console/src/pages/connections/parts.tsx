import type { Connection, SubscriptionState } from '../../api/types.ts';
import { Badge } from '../../ui/badge.tsx';
import { count, duration } from '../../ui/format.ts';

/** Why a connection is slow, as a person says it. */
const REASONS: Readonly<Record<string, string>> = {
  'socket-full': 'does not read',
  'cold-read': 'waits for the archive',
  'catching-up': 'catches up',
};

const STATES: Readonly<Record<SubscriptionState, string>> = {
  starting: 'starting',
  'catching-up': 'catching up',
  live: 'live',
};

export function TransportName({ of }: { of: Connection['transport'] }) {
  return <>{of === 'sse' ? 'SSE' : 'WebSocket'}</>;
}

export function StateBadge({ state }: { state: SubscriptionState }) {
  return <Badge kind={state === 'live' ? 'good' : 'accent'}>{STATES[state] ?? state}</Badge>;
}

export function SlowBadge({ slow }: { slow: Connection['slow'] }) {
  if (!slow) return <span class="quiet">–</span>;
  const { reason, sinceMs, tier } = slow;
  return (
    <Badge kind="warning" {...(tier && { title: `It is sent what the ${tier} has.` })}>
      {REASONS[reason] ?? reason}, {duration(sinceMs)}
    </Badge>
  );
}

export function Behind({ events }: { events: number }) {
  return <span class={events > 0 ? 'warning-text' : undefined}>{count(events)}</span>;
}
