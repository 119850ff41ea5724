/* A system that does not exist: two gateways, one ingest, two replay services, and three streams. */

const started = Date.now();
const EPOCH = 'kq3v';
let rebuild = null;

/**
 * Answers what it knows.
 *
 * @param {import('node:http').IncomingMessage} message
 * @param {import('node:http').ServerResponse} response
 * @returns {boolean} whether it did
 */
export function fakeAdmin(message, response) {
  const url = new URL(message.url ?? '/', 'http://localhost');
  const call = `${message.method} ${url.pathname}`;
  const token = message.headers.authorization?.replace('Bearer ', '') ?? '';
  const isReal = token.startsWith('ey') && token.length > 60;
  if (call === 'GET /v1/me') {
    if (token.startsWith('bad')) {
      json(
        response,
        { code: 'unauthenticated', message: 'The token is not valid.', retryable: false },
        401,
      );
      return true;
    }
    json(response, isReal ? meOf(token) : fakeMe(token));
    return true;
  }
  if (call === 'GET /v1/admin/stats') {
    if (!message.headers.accept?.includes('event-stream')) json(response, stats());
    else stream(response);
    return true;
  }
  if (call === 'GET /v1/admin/connections') json(response, connections(url.searchParams));
  else if (call === 'GET /v1/admin/streams') json(response, streams());
  else if (call === 'POST /v1/admin/disconnect') json(response, undefined, 202);
  else if (call.endsWith('/v1/admin/revocations')) json(response, undefined, 204);
  else if (url.pathname === '/v1/admin/rebuild') rebuildCall(message.method, response);
  else return false;
  return true;
}

function json(response, body, status = 200) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(body === undefined ? '' : JSON.stringify(body));
}

function meOf(token) {
  const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
  const scope = claims.scope ?? claims.permissions ?? [];
  return {
    sub: claims.sub,
    permissions: Array.isArray(scope) ? scope : scope.split(' '),
    expiresAt: new Date(claims.exp * 1000).toISOString(),
  };
}

function fakeMe(token) {
  const admin = token.startsWith('admin');
  return {
    sub: admin ? 'operator' : 'alice',
    permissions: admin
      ? ['admin', 'subscribe:>', 'publish:>', 'history:>', 'inbox:>']
      : ['subscribe:orders.>', 'history:orders.>', 'inbox:>'],
    expiresAt: new Date(started + 3_600_000).toISOString(),
  };
}

function stream(response) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  const send = () => response.write(`event: stats\ndata: ${JSON.stringify(stats())}\n\n`);
  send();
  const timer = setInterval(send, 1000);
  response.on('close', () => clearInterval(timer));
}

function wave(base, spread, periodS, phase = 0) {
  const t = Date.now() / 1000 / periodS + phase;
  return Math.max(0, base + spread * Math.sin(t * 6.28) + (Math.random() - 0.5) * spread * 0.6);
}

function head() {
  return `${EPOCH}-${1_204_880 + Math.floor((Date.now() - started) / 4)}`;
}

function gateway(instance, share) {
  const eventsIn = wave(240, 60, 90);
  return {
    service: 'gateway',
    instance,
    version: '0.1.0',
    startedAt: new Date(started - 86_400_000 * 3).toISOString(),
    seenMs: Math.floor(Math.random() * 900),
    ready: true,
    connections: { websocket: Math.round(4_180 * share), sse: Math.round(420 * share) },
    subscriptions: Math.round(9_400 * share),
    slow: share > 0.5 ? 3 : 0,
    catchUps: Math.round(wave(4, 3, 40)),
    eventsInPerSecond: eventsIn,
    eventsOutPerSecond: eventsIn * 380 * share,
    bytesOutPerSecond: eventsIn * 380 * share * 412,
    deliveryMs: { p50: wave(1.3, 0.3, 70), p99: wave(7, 3, 50, share) },
    fellBehind: share > 0.5 ? 41 : 12,
    head: head(),
    memoryBytes: 212e6 * (0.6 + share),
  };
}

function replay(instance, behind) {
  return {
    service: 'replay',
    instance,
    version: '0.1.0',
    startedAt: new Date(started - 86_400_000).toISOString(),
    seenMs: Math.floor(Math.random() * 900),
    ready: behind < 1000,
    position: head(),
    first: `${EPOCH}-1`,
    behind,
    events: 1_204_880,
    bytes: 812e6,
    requestsPerSecond: wave(12, 6, 30),
    rebuild: instance === 'replay-1' ? currentRebuild() : null,
    memoryBytes: 164e6,
  };
}

function stats() {
  const services = [
    gateway('gateway-1', 0.62),
    gateway('gateway-2', 0.38),
    {
      service: 'ingest',
      instance: 'ingest-1',
      version: '0.1.0',
      startedAt: new Date(started - 86_400_000).toISOString(),
      seenMs: 300,
      ready: true,
      eventsPerSecond: wave(238, 50, 90),
      refusedPerSecond: 0.2,
      duplicatesPerSecond: 1.1,
      appendMs: { p50: 0.8, p99: 4.2 },
      store: 'ok',
      memoryBytes: 96e6,
    },
    replay('replay-1', 0),
    replay('replay-2', 4_210),
  ];
  const gateways = services.filter(({ service }) => service === 'gateway');
  const sum = (read) => gateways.reduce((total, one) => total + read(one), 0);
  return {
    time: new Date().toISOString(),
    together: {
      gateways: gateways.length,
      connections: sum(({ connections }) => connections.websocket + connections.sse),
      slow: sum(({ slow }) => slow),
      catchUps: sum(({ catchUps }) => catchUps),
      eventsInPerSecond: gateways[0].eventsInPerSecond,
      eventsOutPerSecond: sum(({ eventsOutPerSecond }) => eventsOutPerSecond),
      bytesOutPerSecond: sum(({ bytesOutPerSecond }) => bytesOutPerSecond),
      deliveryMs: { p50: wave(1.3, 0.3, 70), p99: wave(7, 3, 50) },
    },
    services,
  };
}

const NAMES = ['alice', 'bob', 'carla', 'deniz', 'emeka', 'fatima', 'service:billing'];
const ALL = Array.from({ length: 240 }, (_, index) => connection(index));

function connection(index) {
  const slow = index % 40 === 3;
  const behind = slow ? 18_200 + index : index % 17 === 5 ? 120 : 0;
  const cursor = `${EPOCH}-${1_204_880 - behind}`;
  const state = behind > 0 ? 'catching-up' : 'live';
  return {
    connection: `c${(index * 7919 + 104_729).toString(36)}x${index}`,
    gateway: index % 3 === 0 ? 'gateway-2' : 'gateway-1',
    sub: NAMES[index % NAMES.length],
    transport: index % 6 === 1 ? 'sse' : 'websocket',
    connectedAt: new Date(started - index * 61_000 - 4000).toISOString(),
    tokenExpiresAt: new Date(started + 3_600_000 - index * 1000).toISOString(),
    address: `10.4.${index % 9}.${(index * 13) % 250}`,
    subscriptions: [
      { id: 'orders', topics: ['orders.*', 'invoices.>'], deliver: 'all', state, cursor, behind },
      {
        id: 'prices',
        topics: [`prices.${index}`],
        types: ['price.changed'],
        deliver: 'latest',
        state: 'live',
        cursor: `${EPOCH}-1204880`,
        behind: 0,
      },
    ].slice(0, 1 + (index % 2)),
    cursor,
    behind,
    unsentBytes: slow ? 61_440 : 0,
    delivered: 14_000 + index * 31,
    fellBehind: slow ? 4 : 0,
    slow: slow ? { reason: 'socket-full', sinceMs: 8200 + index * 100 } : null,
  };
}

function connections(query) {
  const limit = Math.min(1000, Number(query.get('limit') ?? 100));
  const after = Number(query.get('after') ?? 0);
  const found = ALL.filter(
    (one) =>
      (!query.get('sub') || one.sub === query.get('sub')) &&
      (!query.get('gateway') || one.gateway === query.get('gateway')) &&
      (!query.get('transport') || one.transport === query.get('transport')) &&
      (query.get('slow') !== 'true' || one.slow),
  );
  const end = after + limit;
  return {
    items: found.slice(after, end),
    gateways: [
      { gateway: 'gateway-1', connections: 160, answered: true },
      { gateway: 'gateway-2', connections: 80, answered: true },
    ],
    next: end < found.length ? String(end) : null,
    complete: true,
  };
}

function streams() {
  // A server without a name of its own is called so.
  const long = 'NDMFBAXHCJY5V6LDLPJYQX3DQIH4ZJ5GQ5T2T3N7ZB6SB3UKQ6OPKLMA';
  const replicas = [
    { name: long, leader: true, current: true, offline: false, lag: 0 },
    { name: 'nats-2', leader: false, current: true, offline: false, lag: 0 },
    { name: 'nats-3', leader: false, current: false, offline: false, lag: 812 },
  ];
  const common = { leader: long, replicas, storage: 'file' };
  const now = Date.now();
  return {
    unanswered: [],
    items: [
      {
        ...common,
        name: 'TIDEMARK_EVENTS',
        subjects: ['tidemark.events.>'],
        messages: 1_204_880,
        bytes: 7.1e9,
        firstCursor: `${EPOCH}-1`,
        firstTime: new Date(now - 6.2 * 86_400_000).toISOString(),
        lastTime: new Date(now - 300).toISOString(),
        limits: { bytes: 8.6e9, ageSeconds: 604_800, messages: null },
      },
      {
        ...common,
        name: 'KV_tidemark-revocations',
        subjects: ['$KV.tidemark-revocations.>'],
        messages: 4,
        bytes: 910,
        firstTime: new Date(now - 86_400_000).toISOString(),
        lastTime: new Date(now - 3_600_000).toISOString(),
        limits: { bytes: 64e6, ageSeconds: null, messages: null },
      },
    ],
  };
}

function currentRebuild() {
  if (!rebuild) return null;
  if (rebuild.state !== 'running') return rebuild;
  rebuild.done = Math.min(
    rebuild.total,
    Math.round((Date.now() - Date.parse(rebuild.startedAt)) * 60),
  );
  if (rebuild.done < rebuild.total) return rebuild;
  rebuild = { ...rebuild, state: 'complete', endedAt: new Date().toISOString() };
  return rebuild;
}

function rebuildCall(method, response) {
  if (method === 'POST') {
    rebuild = {
      state: 'running',
      done: 0,
      total: 1_204_880,
      unreadable: 0,
      startedAt: new Date().toISOString(),
      endedAt: null,
      reason: null,
    };
  }
  if (method === 'DELETE' && rebuild) {
    rebuild = { ...rebuild, state: 'cancelled', endedAt: new Date().toISOString() };
  }
  const body = currentRebuild() ?? { code: 'not_found', message: 'There was no rebuild.' };
  json(response, body, rebuild ? (method === 'POST' ? 202 : 200) : 404);
}
