import { type ConnectionInfo, formatCursor, LISTED_MAX } from '@tidemark/protocol';
import type { Connection } from './connection.ts';
import type { SubscriptionState } from './progress.ts';
import type { Member } from './registry.ts';

/** The last time that RFC 3339 can name. */
const TIME_MAX_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** What an operator is told of a connection (PROTOCOL.md section 13.5). */
export function describeMember(member: Member, gateway: string): ConnectionInfo {
  const { id, connection, principal, transport, address, connectedMs } = member;
  const { context, sink, delivered, fellBehind } = connection;
  const position = connection.position();
  const states = [...connection.states()];
  const listed = states.slice(0, LISTED_MAX);
  const { head } = context.log.tail;
  const behindOf = ({ position: reached }: SubscriptionState) => {
    return reached ? Math.max(0, head - reached.sequence) : 0;
  };
  return {
    connection: id,
    gateway,
    sub: principal.subject,
    transport,
    connectedAt: toTime(connectedMs),
    tokenExpiresAt: toTime(principal.expiresAtMs),
    address,
    subscriptions: listed.map((one) => ({ ...describeState(one), behind: behindOf(one) })),
    ...leftOut('subscriptionsLeftOut', states.length),
    cursor: position ? formatCursor(position) : null,
    behind: Math.max(0, ...states.map(behindOf)),
    unsentBytes: sink.unsentBytes,
    delivered,
    fellBehind,
    slow: describeSlowness(connection),
  };
}

function describeState({ subscription, state, position }: SubscriptionState) {
  const { id, patterns, deliver, last } = subscription;
  const { list: topics, types } = patterns;
  return {
    id,
    topics: topics.slice(0, LISTED_MAX),
    ...leftOut('topicsLeftOut', topics.length),
    ...(types && {
      types: types.list.slice(0, LISTED_MAX),
      ...leftOut('typesLeftOut', types.list.length),
    }),
    deliver,
    state,
    // Whoever came back there would miss the last events that are left.
    cursor: position && !last ? formatCursor(position) : null,
  };
}

/** Says what holds a slow connection up at this moment, and for how long it has been slow. */
function describeSlowness(connection: Connection): ConnectionInfo['slow'] {
  const { context, sink, readers } = connection;
  const since = context.behind.slowSince(connection);
  if (since === undefined) return null;
  const sinceMs = Math.max(0, Math.round(context.clock.nowMs() - since));
  if (!sink.writable) return { reason: 'socket-full', sinceMs };
  if (readers.some(({ isReading }) => isReading)) return { reason: 'cold-read', sinceMs };
  const [reader] = readers;
  return { reason: 'catching-up', ...(reader && { tier: reader.tier }), sinceMs };
}

function leftOut<K extends string>(name: K, length: number): { [N in K]?: number } {
  const left = length - LISTED_MAX;
  return (left > 0 ? { [name]: left } : {}) as { [N in K]?: number };
}

function toTime(ms: number): string {
  return new Date(Math.min(ms, TIME_MAX_MS)).toISOString();
}
