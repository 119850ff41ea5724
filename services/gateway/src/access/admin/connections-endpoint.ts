import type { Endpoint, Limits } from '@tidemark/http';
import { askGateways, type BulletinBoard, type NatsLink } from '@tidemark/nats';
import {
  CONNECTIONS_PAGE_MAX,
  type ConnectionList,
  type ConnectionPage,
  type ConnectionQuery,
  parseConnectionPage,
  TidemarkError,
} from '@tidemark/protocol';
import { connectionQueryShape, connectionsDescription } from '../descriptions.ts';
import { mergePages } from './connections.ts';
import { readParameters } from './parameters.ts';
import { serveQuestions } from './questions.ts';

/** Lists that a gateway puts together at one time. */
const LISTS_MAX = 4;

const LIMIT_DEFAULT = 100;

/** Bytes of JSON that the answers of all gateways have together, and those of one at least and at most. */
const BYTES_MAX = 2 * 1024 * 1024;
const GATEWAY_BYTES_MIN = 64 * 1024;
const GATEWAY_BYTES_MAX = 512 * 1024;

/** What the list is put together from. */
export interface ConnectionsOptions {
  readonly link: NatsLink;
  readonly board: BulletinBoard;
  readonly limits: Pick<Limits, 'semaphore'>;
}

/** `GET /v1/admin/connections` (PROTOCOL.md section 13.5). */
export function connectionsEndpoint({ link, board, limits }: ConnectionsOptions): Endpoint {
  const places = limits.semaphore('connection_lists', {
    max: LISTS_MAX,
    of: 'lists of connections',
  });
  return {
    path: '/v1/admin/connections',
    methods: {
      GET: {
        ...connectionsDescription,
        serve: serveQuestions(places, ({ url }) =>
          listConnections({ link, board }, readQuery(url)),
        ),
      },
    },
  };
}

async function listConnections(
  { link, board }: Pick<ConnectionsOptions, 'link' | 'board'>,
  asked: Omit<ConnectionQuery, 'bytesMax'>,
): Promise<ConnectionList> {
  const known = new Map(
    board
      .of('gateway')
      .map(({ bulletin: { instance, connections } }) => {
        return [instance, connections.websocket + connections.sse] as const;
      })
      .filter(([instance]) => asked.gateway === undefined || instance === asked.gateway),
  );
  const { settled } = board;
  if (settled && known.size === 0) throw unknownGateway();
  const share = Math.floor(BYTES_MAX / Math.max(1, known.size));
  const most = Math.min(GATEWAY_BYTES_MAX, Math.floor(link.payloadBytesMax / 2));
  const bytesMax = Math.min(most, Math.max(GATEWAY_BYTES_MIN, share));
  const pages = await askGateways<ConnectionPage>(link, {
    body: { ...asked, bytesMax } satisfies ConnectionQuery,
    parse: parseConnectionPage,
    // A gateway that has just started does not know all others yet, and gives them the time to answer.
    isComplete: (answers) => {
      const answered = new Set(answers.map(({ gateway }) => gateway));
      return settled && [...known.keys()].every((gateway) => answered.has(gateway));
    },
  });
  const answered = new Map(pages.map(({ gateway, connections }) => [gateway, connections]));
  const gateways = [...new Set([...known.keys(), ...answered.keys()])].sort().map((gateway) => ({
    gateway,
    connections: answered.get(gateway) ?? known.get(gateway) ?? 0,
    answered: answered.has(gateway),
  }));
  if (gateways.length === 0) throw unknownGateway();
  const { items, next } = mergePages(pages, asked.limit);
  return {
    items: [...items],
    gateways,
    next,
    complete: gateways.every((one) => one.answered),
  };
}

function unknownGateway(): TidemarkError {
  return new TidemarkError('not_found', 'There is no such gateway.');
}

/** @throws TidemarkError `invalid_query` */
function readQuery(url: string): Omit<ConnectionQuery, 'bytesMax'> {
  const found = readParameters(url, Object.keys(connectionQueryShape.shape));
  const { success, data, error } = connectionQueryShape.safeParse(Object.fromEntries(found));
  if (!success) {
    const [issue] = error.issues;
    throw new TidemarkError('invalid_query', `${issue?.path.join('.')}: ${issue?.message}`);
  }
  const { limit, slow, after = '', ...rest } = data;
  const most = limit === undefined ? LIMIT_DEFAULT : Number(limit);
  if (most < 1 || most > CONNECTIONS_PAGE_MAX) {
    throw new TidemarkError('invalid_query', `limit: from 1 to ${CONNECTIONS_PAGE_MAX}.`);
  }
  return { ...rest, after, limit: most, ...(slow === 'true' && { slow: true as const }) };
}
