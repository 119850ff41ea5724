import { z } from 'zod';
import { instanceShape } from './bulletins.ts';
import { CURSOR_JSON, withJson } from './schemas.ts';

/*
 * Lists of connections (PROTOCOL.md section 13.5): what `GET /v1/admin/connections` answers, and what gateways say to
 * each other for it. Gateways of two versions may run beside each other, so unknown fields are left out.
 */

/** Most connections on one page. */
export const CONNECTIONS_PAGE_MAX = 1000;

/** Most subscriptions of a connection, topics and types of a subscription, that a list has. */
export const LISTED_MAX = 20;

const count = z.int().min(0);
const cursor = withJson(z.string().nullable(), { anyOf: [CURSOR_JSON, { type: 'null' }] });
const time = z.iso.datetime();
const transport = z.enum(['websocket', 'sse']);

const subscriptionInfo = z.object({
  id: z.string(),
  topics: z.array(z.string()),
  topicsLeftOut: count.exactOptional(),
  types: z.array(z.string()).exactOptional(),
  typesLeftOut: count.exactOptional(),
  deliver: z.enum(['all', 'latest']),
  state: z.enum(['starting', 'catching-up', 'live']),
  cursor: cursor.meta({
    description: 'Null while it has none that a client could come back with.',
  }),
  behind: count.meta({ description: 'Sequences between it and the head of the gateway.' }),
});

/** Why a connection is slow. */
export const slowShape = z
  .object({
    reason: z.enum(['socket-full', 'cold-read', 'catching-up']),
    tier: z
      .enum(['tail', 'stream', 'archive'])
      .exactOptional()
      .meta({ description: 'With `catching-up`: what it reads, or read last.' }),
    sinceMs: count.meta({ description: 'For how long it has been slow, in ms.' }),
  })
  .nullable();

/** One connection, as an operator sees it. */
export const connectionInfoShape = z
  .object({
    connection: z.string().meta({ description: 'The id, as in `welcome`.' }),
    gateway: instanceShape,
    sub: z.string(),
    transport,
    connectedAt: time,
    tokenExpiresAt: time,
    address: z.string(),
    subscriptions: z.array(subscriptionInfo).max(LISTED_MAX),
    subscriptionsLeftOut: count.exactOptional(),
    cursor,
    behind: count.meta({ description: 'That of the subscription that is furthest behind.' }),
    unsentBytes: count,
    delivered: count.meta({ description: 'Events written to it.' }),
    fellBehind: count.meta({ description: 'Times that it fell behind.' }),
    slow: slowShape,
  })
  .meta({ id: 'ConnectionInfo' });

/** One connection, as an operator sees it. */
export type ConnectionInfo = z.infer<typeof connectionInfoShape>;

/** The answer of `GET /v1/admin/connections`. */
export const connectionListShape = z
  .object({
    items: z.array(connectionInfoShape).max(CONNECTIONS_PAGE_MAX),
    gateways: z.array(
      z.object({ gateway: instanceShape, connections: count, answered: z.boolean() }),
    ),
    next: z.string().nullable(),
    complete: z.boolean().meta({ description: 'Whether every gateway has answered.' }),
  })
  .meta({ id: 'ConnectionList' });

/** The answer of `GET /v1/admin/connections`. */
export type ConnectionList = z.infer<typeof connectionListShape>;

const queryShape = z.object({
  /** Only connections whose ids come after this one, in the order of their texts. */
  after: z.string().max(64),
  limit: z.int().min(1).max(CONNECTIONS_PAGE_MAX),
  /** Most bytes of JSON of the items; one is answered even when it alone is larger. */
  bytesMax: z.int().min(1),
  sub: z.string().max(256).exactOptional(),
  gateway: instanceShape.exactOptional(),
  transport: transport.exactOptional(),
  slow: z.literal(true).exactOptional(),
});

/** What a gateway asks of all gateways: the first of their connections in the order of their ids. */
export type ConnectionQuery = z.infer<typeof queryShape>;

const pageShape = z.object({
  gateway: instanceShape,
  /** All connections of the gateway, whatever was asked for. */
  connections: count,
  // The rest is passed on as it is: gateways have one user at NATS.
  items: z.array(z.looseObject({ connection: z.string() })).max(CONNECTIONS_PAGE_MAX),
  /** The items are all up to this id; `null` where they are all that there are. */
  end: z.string().max(64).nullable(),
});

/** What one gateway answers to a `ConnectionQuery`. */
export interface ConnectionPage extends Omit<z.infer<typeof pageShape>, 'items'> {
  readonly items: readonly ConnectionInfo[];
}

/** Reads a query of another gateway. @returns `undefined` for what is none */
export function parseConnectionQuery(bytes: Uint8Array): ConnectionQuery | undefined {
  return queryShape.safeParse(parseJson(bytes)).data;
}

/** Reads the answer of another gateway. @returns `undefined` for what is none */
export function parseConnectionPage(bytes: Uint8Array): ConnectionPage | undefined {
  return pageShape.safeParse(parseJson(bytes)).data as ConnectionPage | undefined;
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    return undefined;
  }
}
