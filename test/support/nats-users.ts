import { connect, type NatsConnection } from '@nats-io/transport-node';
import { revocationKey } from '@tidemark/protocol';
import { NATS_PASSWORD } from './nats-server.ts';
import type { ServiceName } from './services.ts';

export const EVENTS = 'TIDEMARK_EVENTS';
export const REVOCATIONS = 'KV_TIDEMARK_REVOCATIONS';
export const TICKETS = 'KV_TIDEMARK_TICKETS';

/** The users that are no operators. A publisher has its own subjects, as infra/nats/publishers.conf shows. */
export type User = ServiceName | 'publisher';
export const NATS_USERS: readonly User[] = ['ingest', 'gateway', 'replay', 'publisher'];

const deletions = [EVENTS, REVOCATIONS, TICKETS].flatMap((stream) => [
  `$JS.API.STREAM.DELETE.${stream}`,
  `$JS.API.STREAM.PURGE.${stream}`,
  `$JS.API.STREAM.MSG.DELETE.${stream}`,
]);
/** Replay deletes what is erased. */
const erasing = `$JS.API.STREAM.MSG.DELETE.${EVENTS}`;
const ownership = [EVENTS, REVOCATIONS, TICKETS].flatMap((stream) => [
  `$JS.API.STREAM.CREATE.${stream}`,
  `$JS.API.STREAM.UPDATE.${stream}`,
]);
const revocation = `$KV.TIDEMARK_REVOCATIONS.${revocationKey({ subject: 'mallory' })}`;
const buckets = [revocation, '$KV.TIDEMARK_TICKETS.x', `$JS.API.STREAM.MSG.GET.${TICKETS}`];
/** Only replay writes to the inboxes of users, and the records of erasures. */
const reserved = [
  'tidemark.events.inbox.alice',
  'tidemark.events.tidemark.erasures',
  'tidemark.events.tidemark.x',
];
const nobodys = ['$SYS.REQ.SERVER.PING', '_INBOX.other.x', 'any.thing', '$JS.API.STREAM.CREATE.X'];
const internal = [
  'tidemark.control.disconnect',
  'tidemark.control.connections',
  'tidemark.control.answers.x',
  'tidemark.archive.read',
  'tidemark.archive.read.x',
  'tidemark.archives.announce',
  'tidemark.archives.census',
  'tidemark.stats.gateway',
  'tidemark.stats.replay',
];
/** Subjects that a user may not publish to. */
export const FORBIDDEN: Readonly<Record<User, readonly string[]>> = {
  publisher: [
    ...[...deletions, ...ownership, ...buckets, ...internal, ...nobodys, ...reserved],
    'tidemark.events.orders.1',
    'tidemark.stats.ingest',
    `$JS.API.STREAM.INFO.${EVENTS}`,
    `tidemark.api.STREAM.INFO.${EVENTS}`,
  ],
  ingest: [
    ...[...deletions, ...ownership, ...buckets, ...internal, ...nobodys, ...reserved],
    `tidemark.api.STREAM.MSG.DELETE.${EVENTS}`,
    `$JS.API.CONSUMER.CREATE.${EVENTS}`,
    `tidemark.api.CONSUMER.CREATE.${EVENTS}`,
    `tidemark.api.STREAM.DELETE.${EVENTS}`,
  ],
  // Readers believe what is announced.
  gateway: [
    ...[...deletions, ...ownership, ...nobodys, ...reserved, 'tidemark.archives.announce'],
    'tidemark.stats.ingest',
    'tidemark.stats.replay',
  ],
  replay: [
    ...[...deletions.filter((one) => one !== erasing), ...buckets, ...nobodys],
    'tidemark.events.forged',
    'tidemark.events.tidemark.x',
    'tidemark.control.disconnect',
    'tidemark.control.connections',
    'tidemark.control.answers.x',
    'tidemark.stats.gateway',
    'tidemark.stats.ingest',
  ],
};

/** The users' connections. */
export async function connectUsers(url: string): Promise<ReadonlyMap<User, NatsConnection>> {
  const connections = new Map<User, NatsConnection>();
  for (const name of NATS_USERS) {
    const user = `tidemark-${name}`;
    const inboxPrefix = `_INBOX.${user}`;
    const options = { servers: url, user, pass: NATS_PASSWORD, inboxPrefix };
    connections.set(name, await connect(options));
  }
  return connections;
}
